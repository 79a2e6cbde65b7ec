package gossip_test

import (
	"testing"

	"github.com/ssbsync/ssbsync/sync/gossip"
)

func TestIsPublic(t *testing.T) {
	for host, want := range map[string]bool{
		"example.com": true, "8.8.8.8": true, "2606:4700::1111": true,
		"localhost": false, "127.0.0.1": false, "10.1.2.3": false, "192.168.1.1": false, "169.254.1.1": false,
		"0.0.0.0": false, "::1": false, "fe80::1": false, "fd00::1": false, "::ffff:10.0.0.1": false, "224.0.0.1": false,
	} {
		if got := gossip.IsPublic(host); got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
}

func FuzzPub(f *testing.F) {
	key := pair(1).Feed().String()
	for _, seed := range []string{
		`{"host":"example.com","port":8008,"key":"` + key + `"}`, `"example.com:8008:` + key + `"`,
		`"net:example.com:8008~shs:` + key[1:45] + `"`, `7`, `{"host":7}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := gossip.ParsePub(raw)
		if !ok {
			return
		}
		if len(addr) == 0 || addr.String() == "" {
			t.Errorf("%q: an empty address", raw)
		}
	})
}
