package multiserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/multiserver"
)

const seed = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU="

func TestInvite(t *testing.T) {
	const code = "net:example.com:8008~shs:" + key + ":" + seed
	const legacy = "example.com:8008:@" + key + ".ed25519~" + seed
	for in, want := range map[string]string{
		code:                      code,
		legacy:                    code,
		code + "#http://x#y":      code + "#http://x#y",
		legacy + "#":              code + "#",
		code + ":more~gzip":       code,
		"unix:/a:~noauth;" + code: code,
		"net:example.com:8008~shs:" + key + ";" + code:           code,
		strings.Replace(code, "net:example.com", "net:[::1]", 1): strings.Replace(code, "example.com", "::1", 1),
	} {
		invite, err := multiserver.ParseInvite(in)
		if err != nil || invite.Code() != want {
			t.Errorf("%s: %s, %v", in, invite.Code(), err)
			continue
		}
		if k, ok := invite.Key(); !ok || k != feed(t) || invite.Seed[0] != 5 {
			t.Errorf("%s: key %s", in, k)
		}
	}
	invite, err := multiserver.ParseInvite(code + "#x")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := invite.LegacyCode(); err != nil || got != legacy+"#x" {
		t.Errorf("legacy code %s, %v", got, err)
	}
	if got, err := (multiserver.Invite{}).LegacyCode(); err == nil {
		t.Errorf("code %q of nothing", got)
	}
}

// TestInviteRefused also looks for the seed in the errors.
func TestInviteRefused(t *testing.T) {
	const code = "net:example.com:8008~shs:" + key + ":" + seed
	const legacy = "example.com:8008:@" + key + ".ed25519~" + seed
	for _, s := range []string{
		"", "#", "~", seed, strings.TrimSuffix(code, ":"+seed), strings.TrimSuffix(legacy, "~"+seed), legacy[:len(legacy)-1], code[:len(code)-1],
		strings.Replace(code, "QU=", "QV=", 1), strings.Replace(legacy, "QU=", "QV=", 1), code + "\n", legacy + "\n", code + "#\n", legacy + "~" + seed,
		strings.Replace(code, "8008", "0", 1), strings.Replace(code, "example.com", "cafe", 1), strings.Replace(code, "net:", "bt:", 1),
		strings.Replace(code, "shs", "shs2", 1), strings.Replace(code, "~shs", "~gzip~shs", 1), strings.Replace(code, key, "x", 1),
		":8008:@" + key + ".ed25519~" + seed, code + "#" + strings.Repeat("x", 1<<20),
	} {
		if invite, err := multiserver.ParseInvite(s); err == nil {
			t.Errorf("%.100q was read as %s", s, invite.Code())
		} else if strings.Contains(err.Error(), seed[:8]) {
			t.Errorf("%.100q: the error holds the seed: %v", s, err)
		}
	}
}

// TestPrintedInviteHoldsNoSeed prints an invite in all the ways that happen by
// accident.
func TestPrintedInviteHoldsNoSeed(t *testing.T) {
	invite, err := multiserver.ParseInvite("net:example.com:8008~shs:" + key + ":" + seed)
	if err != nil {
		t.Fatal(err)
	}
	s := fmt.Sprint(invite, &invite, []multiserver.Invite{invite}) +
		fmt.Sprintf("%v %+v %#v %s %q %x %d", invite, invite, invite, invite, invite, invite, struct{ I multiserver.Invite }{invite})
	if strings.Contains(s, seed[:8]) || strings.Contains(s, "5 5 5") || strings.Contains(s, "050505") || strings.Contains(s, "0x5") {
		t.Errorf("printed: %s", s)
	}
}

// FuzzInvite: what is read can be printed in both forms and read again.
func FuzzInvite(f *testing.F) {
	for _, s := range []string{
		"net:example.com:8008~shs:" + key + ":" + seed, "example.com:8008:@" + key + ".ed25519~" + seed + "#x",
		"wss://a.com/x~shs:" + key + ":" + seed, "onion:a.onion:1~shs:" + key + ":" + seed + "~gzip;net:[::1]:1~shs:" + key + ":" + seed,
	} {
		if _, err := multiserver.ParseInvite(s); err != nil {
			f.Fatal(err)
		}
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		invite, err := multiserver.ParseInvite(s)
		if err != nil || len(s) > 4000 { // the other form may be longer
			return
		}
		checkCodes(t, s, invite)
	})
}
