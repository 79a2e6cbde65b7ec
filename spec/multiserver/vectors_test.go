package multiserver_test

import (
	"encoding/json"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// tally counts the cases in which we differ on purpose, by the rule of the
// package documentation that they fall under.
type tally map[string]int

// refCase is what ssb-ref and multiserver-address answer for one input. The
// fields on ids are checked in package refs. Where a function threw, its field
// is an object with that text.
type refCase struct {
	ID, Input   string
	IsAddress   bool
	IsInvite    bool
	Type        any
	Address     json.RawMessage `json:"parseAddress"`
	Invite      *theirInvite    `json:"parseInvite"`
	KeyFrom     *string         `json:"getKeyFromAddress"`
	MSCheck     bool            `json:"msaddr_check"`
	MSDecode    json.RawMessage `json:"msaddr_decode"`
	MSReencoded json.RawMessage `json:"msaddr_reencode"`
}

type theirAddress struct {
	Host, Key string
	Port      *float64
}

// layer is a layer as multiserver-address decodes it.
type layer struct {
	Name string
	Data []string
}

type theirInvite struct {
	Invite, Key, Remote string
	Redirect            *string
}

const key44 = `[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=`

var (
	canonicalFeed = regexp.MustCompile(`^@` + key44 + `\.ed25519$`)
	digits        = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
	seedOnly      = regexp.MustCompile(`^` + key44 + `$`)
	otherSHS      = regexp.MustCompile(`[~;]shs[a-z0-9-]`)
	escaped       = regexp.MustCompile(`!.`)
	scheme        = regexp.MustCompile(`^wss?://`)
	domain        = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+(xn--)?[A-Za-z0-9]+\.?$`)
	web           = regexp.MustCompile(`^//([^/]*?)(:[^:/\]]*)?(/.*)?$`)
	numeric       = regexp.MustCompile(`\.[0-9]+\.?$`)
)

func TestSSBRefVectors(t *testing.T) {
	rules := tally{}
	vectors.Lines(t, vectors.Files(t, "refs", "ssb-ref.jsonl"), func(line []byte) {
		var c refCase
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		checkGrammar(t, c, rules)
		checkIsAddress(t, c, rules)
		checkKey(t, c, rules)
		checkEndpoint(t, c, rules)
		checkInvite(t, c, rules)
	})
	t.Logf("different by rule: %v", rules)
}

// decoded returns the layers of the addresses, which the case must have.
func (c refCase) decoded(t *testing.T) (all [][]layer) {
	if err := json.Unmarshal(c.MSDecode, &all); err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	return all
}

// checkGrammar compares Parse and String with multiserver-address.
func checkGrammar(t *testing.T, c refCase, rules tally) {
	all, err := multiserver.Parse(c.Input)
	if (err == nil) != c.MSCheck {
		t.Errorf("%s: %q: error %v, want an address: %v", c.ID, c.Input, err, c.MSCheck)
	}
	if err != nil {
		return
	}
	theirs := c.decoded(t)
	if len(theirs) != len(all) {
		t.Fatalf("%s: %d addresses, want %d", c.ID, len(all), len(theirs))
	}
	special := false
	for i := range theirs {
		if len(theirs[i]) != len(all[i]) {
			t.Fatalf("%s: address %d has %d layers, want %d", c.ID, i, len(all[i]), len(theirs[i]))
		}
		for j, l := range theirs[i] {
			if l.Name != all[i][j].Name || !slices.Equal(l.Data, all[i][j].Data) {
				t.Errorf("%s: layer %v, want %v", c.ID, all[i][j], l)
			}
			special = special || strings.ContainsAny(strings.Join(l.Data, ""), "!~:;")
		}
	}
	var again string
	if err := json.Unmarshal(c.MSReencoded, &again); err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	switch {
	case all.String() == again:
	case special:
		rules["escape"]++
	default:
		t.Errorf("%s: printed as %s, want %s", c.ID, all, again)
	}
	if all.String() != c.Input {
		t.Errorf("%s: printed as %s, was %s", c.ID, all, c.Input)
	}
}

func checkIsAddress(t *testing.T, c refCase, rules tally) {
	_, err := multiserver.ParseLegacy(c.Input)
	isLegacy := err == nil
	if want := strictLegacy(c.Input) && (c.IsAddress || laxer(c.Input)); isLegacy != want {
		t.Errorf("%s: %q in legacy form: %v, want it: %v", c.ID, c.Input, err, want)
	}
	hasTilde := c.MSCheck && strings.Contains(escaped.ReplaceAllString(c.Input, ""), "~")
	got := multiserver.IsAddress(c.Input)
	if got != (hasTilde || isLegacy) {
		t.Errorf("%s: %q is an address: %v", c.ID, c.Input, got)
	}
	switch {
	case got == c.IsAddress:
	case got && isLegacy && laxer(c.Input), !got && !strictLegacy(c.Input):
		rules["host, port or key of a legacy address"]++
	case got && hasTilde && strings.Contains(c.Input, "!!~"):
		rules["tilde"]++
	default:
		t.Errorf("%s: %q is an address: %v, want %v", c.ID, c.Input, got, c.IsAddress)
	}
	if _, err := refs.ParseID(c.Input); err != nil && got && c.IsAddress && c.Type != "address" {
		t.Errorf("%s: an address, want %v", c.ID, c.Type)
	}
}

// laxer reports whether a host may be one of those that only we take: IPv6 in
// brackets or with a zone, web sockets without a port or with a path.
func laxer(s string) bool {
	return strings.ContainsAny(s, "[%") || strings.HasPrefix(s, "ws")
}

// strictLegacy is our grammar of legacy addresses, by the rules "host", "port"
// and "key".
func strictLegacy(s string) bool {
	parts := strings.Split(scheme.ReplaceAllString(s, ""), ":")
	n := len(parts)
	return n >= 3 && strictHost(strings.Join(parts[:n-2], ":")) && strictPort(parts[n-2]) && canonicalFeed.MatchString(parts[n-1])
}

// strictTransport is our grammar of transports with host and port, by the
// rules "host" and "port".
func strictTransport(l layer) bool {
	text := strings.Join(l.Data, ":")
	i := strings.LastIndexByte(text, ':')
	switch l.Name {
	case "net", "onion":
		return i >= 0 && strictHost(text[:i]) && strictPort(text[i+1:])
	case "ws", "wss":
		m := web.FindStringSubmatch(text)
		return m != nil && strictHost(m[1]) && (m[2] == "" || strictPort(m[2][1:]))
	}
	return false
}

func strictPort(s string) bool {
	port, err := strconv.Atoi(s)
	return digits.MatchString(s) && err == nil && port <= 65535
}

// strictHost is our grammar of hosts, but for what ssb-ref decides as well.
func strictHost(s string) bool {
	s, _, _ = strings.Cut(s, "%")
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && strings.Contains(inner, ":") && net.ParseIP(inner) != nil
	}
	return s == "localhost" || net.ParseIP(s) != nil || domain.MatchString(s) && !numeric.MatchString(s)
}

func checkKey(t *testing.T, c refCase, rules tally) {
	all, err := multiserver.Parse(c.Input)
	key, ok := all.Key()
	if err != nil && ok {
		t.Errorf("%s: key %s of no address", c.ID, key)
	}
	switch {
	case otherSHS.MatchString(c.Input):
		rules["key"]++
	case c.KeyFrom == nil:
		if ok {
			t.Errorf("%s: key %s of %q, want none", c.ID, key, c.Input)
		}
	case !canonicalFeed.MatchString(*c.KeyFrom):
		rules["key"]++
	case !ok || key.String() != *c.KeyFrom:
		t.Errorf("%s: key %v, want %s", c.ID, key, *c.KeyFrom)
	}
}

// checkEndpoint compares with parseAddress, which answers for anything
// without "~".
func checkEndpoint(t *testing.T, c refCase, rules tally) {
	var theirs theirAddress
	isObject := json.Unmarshal(c.Address, &theirs) == nil && string(c.Address) != "null"
	if !strings.Contains(c.Input, "~") {
		address, err := multiserver.ParseLegacy(c.Input)
		if err != nil {
			if isObject {
				rules["default"]++
			}
			return
		}
		checkDial(t, c, address, theirs)
		return
	}
	all, err := multiserver.Parse(c.Input)
	if err != nil {
		if isObject {
			t.Errorf("%s: %v", c.ID, err)
		}
		return
	}
	if len(all) > 1 || otherSHS.MatchString(c.Input) {
		rules["first"]++
		return
	}
	// ssb-ref wants shs to be the second layer.
	address := all[0]
	_, err = address.Endpoint()
	_, hasKey := address.Key()
	dialled := err == nil && hasKey && len(address) > 1 && address[1].Name == "shs"
	switch {
	case dialled && isObject:
		checkDial(t, c, address, theirs)
	case dialled && !laxer(c.Input):
		t.Errorf("%s: %q can be dialled", c.ID, c.Input)
	case dialled:
		rules["host or port, laxer"]++
	case isObject:
		if strictTransport(c.decoded(t)[0][0]) && canonicalFeed.MatchString(theirs.Key) {
			t.Errorf("%s: %q cannot be dialled", c.ID, c.Input)
		}
		rules["host or port"]++
	}
}

// checkDial compares host, port and key.
func checkDial(t *testing.T, c refCase, address multiserver.Address, theirs theirAddress) {
	e, err := address.Endpoint()
	if err != nil {
		t.Errorf("%s: %v", c.ID, err)
		return
	}
	host := e.Host
	if name := address.Transport(); name == "ws" || name == "wss" {
		host = name + "://" + host
	}
	key, _ := address.Key()
	if host != strings.Trim(theirs.Host, "[]") || theirs.Port == nil || float64(e.Port) != *theirs.Port || key.String() != theirs.Key {
		t.Errorf("%s: %q leads to %v with key %s, want %+v", c.ID, c.Input, e, key, theirs)
	}
}

func checkInvite(t *testing.T, c refCase, rules tally) {
	if (c.Invite != nil) != c.IsInvite {
		t.Fatalf("%s: the case contradicts itself", c.ID)
	}
	invite, err := multiserver.ParseInvite(c.Input)
	if err == nil {
		checkCodes(t, c.ID, invite)
	}
	code, redirect, _ := strings.Cut(c.Input, "#")
	if strings.Contains(code, ";") || otherSHS.MatchString(code) {
		rules["first"]++
		return
	}
	strict := strictCode(code) && !strings.ContainsAny(redirect, "\r\n")
	switch {
	case err == nil && !strict:
		t.Errorf("%s: invite %q was read", c.ID, c.Input)
	case err == nil && c.Invite == nil:
		if !laxer(c.Input) {
			t.Errorf("%s: invite %q was read", c.ID, c.Input)
		}
		rules["host or port, laxer"]++
	case err == nil:
		checkInviteParts(t, c, invite)
	case c.Invite != nil && strict:
		t.Errorf("%s: invite %q: %v", c.ID, c.Input, err)
	case c.Invite != nil:
		rules["seed, host, port or key of an invite code"]++
	}
}

// strictCode is our grammar of invite codes with one address, without the
// redirect: by the rules "seed", "host", "port" and "key".
func strictCode(code string) bool {
	address, seed, _ := strings.Cut(code, "~")
	if strictLegacy(address) && seedOnly.MatchString(seed) {
		return true
	}
	all, err := multiserver.Parse(code) // compared in checkGrammar
	if err != nil || len(all[0]) < 2 || all[0][1].Name != "shs" || len(all[0][1].Data) < 2 {
		return false
	}
	l := layer(all[0][0])
	return strictTransport(l) &&
		seedOnly.MatchString(all[0][1].Data[0]) && seedOnly.MatchString(all[0][1].Data[1])
}

// checkInviteParts compares an invite with ssb-ref's.
func checkInviteParts(t *testing.T, c refCase, invite multiserver.Invite) {
	redirect := ""
	if c.Invite.Redirect != nil {
		redirect = *c.Invite.Redirect
	}
	key, _ := invite.Key()
	if key.String() != c.Invite.Key || invite.Remote.String() != c.Invite.Remote || invite.Redirect != redirect {
		t.Errorf("%s: invite %+v, want %+v", c.ID, invite, *c.Invite)
	}
	// What ssb-ref calls the invite is what was written where that has
	// multiserver form already: with a host to be normalised, or more data.
	code := strings.TrimSuffix(invite.Code(), redirect)
	if !strings.Contains(c.Invite.Invite, strings.TrimPrefix(code, invite.Remote.String())) ||
		!strings.Contains(c.Input, "~shs:") && code != c.Invite.Invite {
		t.Errorf("%s: code %s, want %s", c.ID, code, c.Invite.Invite)
	}
}

// checkCodes reads back what the invite prints.
func checkCodes(t *testing.T, id string, invite multiserver.Invite) {
	again, err := multiserver.ParseInvite(invite.Code())
	if err != nil || again.Code() != invite.Code() {
		t.Errorf("%s: %s was read back as %v, %v", id, invite.Code(), again, err)
	}
	legacy, err := invite.LegacyCode()
	if err != nil {
		return // a path
	}
	again, err = multiserver.ParseInvite(legacy)
	e, _ := invite.Remote.Endpoint()
	got, _ := again.Remote.Endpoint()
	if err != nil || got != e || again.Seed != invite.Seed || again.Remote.Transport() != invite.Remote.Transport() {
		t.Errorf("%s: %s was read back as %v, %v", id, legacy, again, err)
	}
}
