package multiserver_test

import (
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
)

const key = "+oaWWDs8g73EZFUMfW37R/ULtFEjwKN/DczvdYihjbU="

func feed(t testing.TB) refs.Feed {
	t.Helper()
	f, err := refs.ParseFeed("@" + key + ".ed25519")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// parseOne parses one address.
func parseOne(t testing.TB, s string) multiserver.Address {
	t.Helper()
	all, err := multiserver.Parse(s)
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v, %v", s, all, err)
	}
	return all[0]
}

func TestEndpoint(t *testing.T) {
	for in, want := range map[string]multiserver.Endpoint{
		"net:example.com:8008":         {Host: "example.com", Port: 8008},
		"net:localhost:1":              {Host: "localhost", Port: 1},
		"net:1.2.3.4:65535":            {Host: "1.2.3.4", Port: 65535},
		"net:::1:8008":                 {Host: "::1", Port: 8008},
		"net:fe80!:!:1:8008":           {Host: "fe80::1", Port: 8008},
		"net:[::1]:8008":               {Host: "::1", Port: 8008},
		"net:fe80::1%eth0:8008":        {Host: "fe80::1%eth0", Port: 8008},
		"net:a_b.example.com.:8008":    {Host: "a_b.example.com.", Port: 8008},
		"onion:abcdef.onion:8008":      {Host: "abcdef.onion", Port: 8008},
		"ws://example.com:8989":        {Host: "example.com", Port: 8989},
		"ws://example.com":             {Host: "example.com", Port: 80},
		"wss://example.com/ssb/ws?a=b": {Host: "example.com", Port: 443, Path: "/ssb/ws?a=b"},
		"wss://[::1]:8989/":            {Host: "::1", Port: 8989, Path: "/"},
		"wss://[::1]":                  {Host: "::1", Port: 443},
	} {
		got, err := parseOne(t, in+"~shs:"+key).Endpoint()
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"net", "net:example.com", "net:example.com:", "net:example.com:0", "net:example.com:65536", "net:example.com:-1",
		"net:example.com:08", "net:example.com:+8", "net:example.com:1e3", "net::8008", "net:cafe:8008", "net:example:8008",
		"net:999.1.1.1:8008", "net:[1.2.3.4]:8008", "net:[::1:8008", "net:[]:8008", "net:-a.com:8008", "net:a--b.com:8008",
		"net:a..com:8008", "net:a.com/x:8008", "net://a.com:8008", "net:ws!://a.com:8008", "net:" + strings.Repeat("a.", 127) + "com:1",
		"net:" + strings.Repeat("a", 64) + ".com:1", "ws:example.com:80", "ws://", "ws:///x", "unix:/a:", "tunnel:a:b", "bt:1:2",
	} {
		if e, err := parseOne(t, in+"~shs:"+key).Endpoint(); err == nil {
			t.Errorf("%s: %+v", in, e)
		}
	}
	if _, err := (multiserver.Address{}).Endpoint(); err == nil {
		t.Error("the empty address has an endpoint")
	}
}

func TestLayers(t *testing.T) {
	unix := parseOne(t, "unix:/home/me/.ssb/socket:~noauth:"+key)
	if path, ok := unix.UnixPath(); !ok || path != "/home/me/.ssb/socket" {
		t.Errorf("path %q", path)
	}
	if k, ok := unix.Key(); ok {
		t.Errorf("noauth proves the key %s", k)
	}
	if built := multiserver.Unix("/home/me/.ssb/socket", feed(t)); built.String() != unix.String() {
		t.Errorf("built %s", built)
	}
	tunnel := parseOne(t, "tunnel:@"+key+".ed25519:@"+strings.Replace(key, "+", "/", 1)+".ed25519~shs:"+key)
	portal, target, ok := tunnel.Tunnel()
	if !ok || portal != feed(t) || target == portal {
		t.Errorf("tunnel to %s through %s", target, portal)
	}
	for _, s := range []string{"net:a.com:1", "unix", "unix:", "tunnel:@" + key + ".ed25519", "tunnel:" + key + ":" + key, "tunnel:@" + key + ".ed25519:x"} {
		if path, ok := parseOne(t, s).UnixPath(); ok {
			t.Errorf("%s: path %q", s, path)
		}
		if _, target, ok := parseOne(t, s).Tunnel(); ok {
			t.Errorf("%s: tunnel to %s", s, target)
		}
	}
	if got := (multiserver.Address{}).Transport(); got != "" {
		t.Errorf("the empty address has transport %q", got)
	}
}

func TestKeyOfSeveral(t *testing.T) {
	all, err := multiserver.Parse("net:a.com:1~noauth;net:a.com:1~shs:x;ws://a.com~shs:" + key)
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := all.Key(); !ok || k != feed(t) {
		t.Errorf("key %s, %v", k, ok)
	}
	if k, ok := all[:2].Key(); ok {
		t.Errorf("key %s", k)
	}
}

func TestNet(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "net:example.com:8008~shs:" + key,
		"fe80::1":     "net:fe80::1:8008~shs:" + key,
		"x.onion":     "onion:x.onion:8008~shs:" + key,
	} {
		a := multiserver.Net(host, 8008, feed(t))
		if e, err := a.Endpoint(); a.String() != want || err != nil || e.Host != host || e.Port != 8008 {
			t.Errorf("%s: %s, %+v, %v", host, a, e, err)
		}
	}
}

// TestWeb: addresses of web sockets are URLs.
func TestWeb(t *testing.T) {
	for host, want := range map[string]string{"example.org": "example.org", "192.0.2.1": "192.0.2.1", "::1": "[::1]", "2001:db8::2": "[2001:db8::2]"} {
		a := multiserver.Web("ws", host, 8989, feed(t))
		if text := "ws://" + want + ":8989~shs:" + key; a.String() != text || parseOne(t, text).String() != text {
			t.Errorf("%s: %s, want %s", host, a, text)
		}
		if e, err := a.Endpoint(); err != nil || e != (multiserver.Endpoint{Host: host, Port: 8989}) {
			t.Errorf("%s leads to %v, %v", a, e, err)
		}
		if got, err := multiserver.ParseLegacy("ws://" + want + ":8989:" + feed(t).String()); err != nil || got.String() != a.String() {
			t.Errorf("%s in legacy form: %s, %v", want, got, err)
		}
	}
}

func TestParseRefused(t *testing.T) {
	for _, s := range []string{
		"", ";", "~", ":", "n", "Net:a", "1net", "-net", "net:a b", "net:a\n", "net:é", "net:\x7f", "net:a!", "net:a!b", "net:a~", "net:a~~b1",
		"net:a;", "net:a;;net:b", "net:a~s", "net:a~SHS", "ne_t", "net a", "net!:a", strings.Repeat("ab;", 1<<20) + "ab",
	} {
		if all, err := multiserver.Parse(s); err == nil {
			t.Errorf("%.80q was read as %.80s", s, all)
		} else if len(err.Error()) > 500 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
	}
}

func TestLegacy(t *testing.T) {
	for in, want := range map[string]string{
		"example.com:8008:@" + key + ".ed25519":      "net:example.com:8008~shs:" + key,
		"::1:8008:@" + key + ".ed25519":              "net:::1:8008~shs:" + key,
		"x.onion:8008:@" + key + ".ed25519":          "onion:x.onion:8008~shs:" + key,
		"ws://example.com:80:@" + key + ".ed25519":   "ws://example.com:80~shs:" + key,
		"wss://example.com:443:@" + key + ".ed25519": "wss://example.com:443~shs:" + key,
	} {
		a, err := multiserver.ParseLegacy(in)
		if err != nil || a.String() != want || !multiserver.IsAddress(in) {
			t.Errorf("%s: %s, %v", in, a, err)
			continue
		}
		if legacy, err := parseOne(t, want).Legacy(); err != nil || legacy != in {
			t.Errorf("%s: back as %s, %v", in, legacy, err)
		}
	}
	for _, in := range []string{
		"", ":", "::", "@" + key + ".ed25519", "8008:@" + key + ".ed25519", ":8008:@" + key + ".ed25519", "example.com::@" + key + ".ed25519",
		"example.com:8008:" + key, "example.com:8008:@" + key + ".sha256", "example.com:8008:@" + key + ".ed25519~", "ws://:80:@" + key + ".ed25519",
		"http://example.com:80:@" + key + ".ed25519", strings.Repeat("a", 1<<20) + ":8008:@" + key + ".ed25519",
	} {
		if a, err := multiserver.ParseLegacy(in); err == nil {
			t.Errorf("%q was read as %s", in, a)
		}
	}
	for _, in := range []string{
		"unix:/a:~noauth:" + key, "net:a.com:1~shs", "ws://a.com:80/path~shs:" + key, "onion:a.com:1~shs:" + key, "net:a.onion:1~shs:" + key,
	} {
		if legacy, err := parseOne(t, in).Legacy(); err == nil {
			t.Errorf("%s: %s", in, legacy)
		}
	}
}

// FuzzAddress: parse → format gives the same text, whatever is asked of the
// address in between.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"net:example.com:8008~shs:" + key, "net:fe80!:!:1:8008~shs:" + key + ":x~gzip;ws://[::1]:80/a~shs:" + key,
		"unix:/a b:~noauth", "pqz:!~~ft:::!!t!:%:I~r87:>3:!;:~h7::", "example.com:8008:@" + key + ".ed25519", "wss://a.com~shs:" + key,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := multiserver.ParseLegacy(s); err == nil {
			if e, err := a.Endpoint(); err != nil || e.Path != "" {
				t.Errorf("%q: %+v, %v", s, e, err)
			}
			legacy, err := a.Legacy()
			again, err2 := multiserver.ParseLegacy(legacy)
			if err != nil || err2 != nil || again.String() != a.String() || parseOne(t, a.String()).String() != a.String() {
				t.Errorf("%q: %s was read back as %s, %v, %v", s, a, again, err, err2)
			}
		}
		all, err := multiserver.Parse(s)
		if err != nil {
			return
		}
		if all.String() != s {
			t.Errorf("%q prints as %q", s, all)
		}
		for _, a := range all {
			a.UnixPath()
			a.Tunnel()
			if legacy, err := a.Legacy(); err == nil {
				if _, err := multiserver.ParseLegacy(legacy); err != nil {
					t.Errorf("%s in legacy form: %v", a, err)
				}
			}
		}
	})
}
