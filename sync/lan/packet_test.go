package lan_test

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/sync/lan"
)

func pair(n byte) *keys.Pair { return keys.FromSeed([32]byte{n, 'l', 'a', 'n'}) }

// network is the one the tests take place in.
var network = [32]byte{1, 2, 3}

// at returns where the n-th peer is.
func at(n byte, host string) multiserver.Address {
	return multiserver.Net(host, 8008, pair(n).Feed())
}

// What npm ssb-keys 8.5.0 makes as ssb-lan 1.2.3 uses it, for the identity of
// seed 01 01 … and the network 07 07 ….
const (
	jsAddress = "net:10.0.0.1:8008~shs:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
	jsBox     = "e302bfd2bc26805366721ffee78fe66dbf744c901636decf5d58aa550bc3fc02897944e530d9cfaa2e4270f231e6c60a4005b2ed9b2a036d2d8b2788516deb46a1ed905d8819a5ee4ffb20d4387d0c12a1ec488adba856e25ed25b556598ace7"
	jsSig     = "87ec426050cafba782cd3a7abbed2e1a1432ed4d060b95ab89f7e200c1a78560ebdf9e42197554b3d84103794d08cab18056283eb227144cfd881d1b64adf609"
)

// TestJavaScriptPacket compares a sealed packet with that of the JavaScript
// programs, byte by byte.
func TestJavaScriptPacket(t *testing.T) {
	net := [32]byte(bytes.Repeat([]byte{7}, 32))
	packet := lan.Seal([]byte(jsAddress), keys.FromSeed([32]byte(bytes.Repeat([]byte{1}, 32))), &net)
	if got := hex.EncodeToString(packet); got != jsBox+jsSig {
		t.Errorf("packet\n%s, want\n%s", got, jsBox+jsSig)
	}
	feed, addrs, err := lan.OpenSealed(packet, &net)
	if err != nil || len(addrs) != 1 || addrs[0].String() != jsAddress || feed.String() != "@iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=.ed25519" {
		t.Errorf("%s %v %v", feed, addrs, err)
	}
}

func TestPlain(t *testing.T) {
	a, b := at(1, "10.0.0.5").String(), at(1, "fd00::5").String()
	web := strings.Replace(strings.Replace(a, "net:", "ws://", 1), ":8008", ":8989", 1)
	other := at(2, "10.0.0.6").String()
	legacy, err := at(1, "10.0.0.5").Legacy()
	if err != nil {
		t.Fatal(err)
	}
	many := strings.TrimSuffix(strings.Repeat(a+";", 17), ";")
	for text, want := range map[string]int{
		a: 1, a + ";" + b: 2, a + ";" + web: 2, legacy: 1,
		"unix:/x:~noauth:y;" + a:                         1, // what it does not know is left out
		strings.Replace(a, "10.0.0.5", "example.com", 1): 0,
		strings.Replace(a, "10.0.0.5", "localhost", 1):   0,
		strings.Replace(a, "10.0.0.5", "", 1):            0,
		strings.Replace(a, "net:", "onion:", 1):          0,
		strings.Replace(a, "8008", "0", 1):               0,
		strings.Replace(a, "~shs:", "~noauth:", 1):       0,
		a + ";" + other: 0,
		a + "\n":        0, " " + a: 0, a + "\x00": 0,
		many: 0, strings.Repeat("x", lan.MaxPacket+1): 0,
		"": 0, "junk": 0, "net": 0, ";": 0, "\xff\xfe": 0,
	} {
		feed, addrs, err := lan.ParsePlain([]byte(text))
		if len(addrs) != want || (err == nil) != (want > 0) || want > 0 && feed != pair(1).Feed() {
			t.Errorf("%.100q: %s %v %v, want %d", text, feed, addrs, err, want)
		}
	}
}

// TestSealedMangled flips every bit and cuts at every length.
func TestSealedMangled(t *testing.T) {
	text := at(1, "10.0.0.5").String()
	packet := lan.Seal([]byte(text), pair(1), &network)
	if _, addrs, err := lan.OpenSealed(packet, &network); err != nil || len(addrs) != 1 || addrs[0].String() != text {
		t.Fatalf("%v %v", addrs, err)
	}
	for i := range packet {
		if _, _, err := lan.OpenSealed(packet[:i], &network); err == nil {
			t.Fatalf("cut at %d", i)
		}
		for bit := range 8 {
			bad := bytes.Clone(packet)
			bad[i] ^= 1 << bit
			if _, _, err := lan.OpenSealed(bad, &network); err == nil {
				t.Fatalf("bit %d of byte %d flipped", bit, i)
			}
		}
	}
	t.Logf("%d cuts, %d flips", len(packet), 8*len(packet))
	for name, bad := range map[string][]byte{
		"longer":          append(bytes.Clone(packet), 0),
		"another signer":  lan.Seal([]byte(text), pair(2), &network),
		"another network": lan.Seal([]byte(text), pair(1), &[32]byte{9}),
		"a quote inside":  lan.Seal([]byte(text+`","x":"`), pair(1), &network),
		"no address":      lan.Seal([]byte("junk"), pair(1), &network),
		"too long":        lan.Seal(bytes.Repeat([]byte("x"), 4000), pair(1), &network),
		"plain":           []byte(text),
	} {
		if _, _, err := lan.OpenSealed(bad, &network); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBelievable(t *testing.T) {
	for _, c := range []struct {
		host, from string
		want       bool
	}{
		{"10.0.0.5", "10.0.0.5", true}, {"10.0.0.5", "192.168.1.7", true}, {"172.16.0.1", "10.0.0.1", true}, {"169.254.3.4", "10.0.0.1", true},
		{"8.8.8.8", "8.8.8.8", true}, {"8.8.8.8", "10.0.0.1", false}, {"fd00::1", "10.0.0.1", true}, {"2001:db8::1", "10.0.0.1", false},
		{"127.0.0.1", "10.0.0.1", false}, {"127.0.0.1", "127.0.0.2", true}, {"::1", "10.0.0.1", false},
		{"0.0.0.0", "0.0.0.0", false}, {"::", "10.0.0.1", false}, {"224.0.0.1", "10.0.0.1", false}, {"255.255.255.255", "10.0.0.1", false},
		{"fe80::1%eth0", "10.0.0.1", false}, {"fe80::1", "10.0.0.1", false},
	} {
		if got := lan.Believable(netip.MustParseAddr(c.host), netip.MustParseAddr(c.from)); got != c.want {
			t.Errorf("%s from %s: %v", c.host, c.from, got)
		}
	}
}

// TestTextFor holds that an address goes out where it is of use, and nowhere
// else.
func TestTextFor(t *testing.T) {
	web, err := multiserver.Parse("ws://0.0.0.0:8989/ssb~shs:" + strings.TrimSuffix(pair(1).Feed().String()[1:], ".ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	unix := multiserver.Unix("/socket", pair(1).Feed())
	all := []multiserver.Address{at(1, "0.0.0.0"), at(1, "10.0.0.5"), at(1, "192.168.1.5"), at(1, "203.0.113.9"), at(1, "example.com"), web[0], unix}
	want := at(1, "10.0.0.5").String() + ";" + at(1, "10.0.0.5").String() + ";" + strings.Replace(web[0].String(), "0.0.0.0", "10.0.0.5", 1)
	if got := lan.TextFor(all, netip.MustParseAddr("10.0.0.5")); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := lan.TextFor([]multiserver.Address{at(1, "::")}, netip.MustParseAddr("10.0.0.5")); got != at(1, "10.0.0.5").String() {
		t.Errorf("of every IPv6 interface: %q", got)
	}
	if got := lan.TextFor(all[3:5], netip.MustParseAddr("10.0.0.5")); got != "" {
		t.Errorf("nothing to say: %q", got)
	}
}

func TestBroadcastAddress(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.5/8": "10.255.255.255", "192.168.1.7/24": "192.168.1.255", "172.20.10.2/28": "172.20.10.15", "10.0.0.1/30": "10.0.0.3",
		"127.0.0.1/8": "127.255.255.255", "192.168.1.130/25": "192.168.1.255",
		"10.0.0.1/31": "", "10.0.0.1/32": "", "fd00::1/64": "", "0.0.0.0/0": "",
	} {
		ip, n, err := net.ParseCIDR(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range []net.IP{ip, ip.To4()} { // both forms occur
			if addr == nil {
				continue
			}
			i, ok := lan.InterfaceOf(&net.IPNet{IP: addr, Mask: n.Mask})
			if ok != (want != "") || ok && (i.Broadcast.String() != want || i.Addr.String() != ip.String()) {
				t.Errorf("%s: %+v %v, want %q", in, i, ok, want)
			}
		}
	}
	if _, ok := lan.InterfaceOf(&net.UnixAddr{}); ok {
		t.Error("no IP network has an interface")
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{jsAddress, at(1, "10.0.0.5").String() + ";" + at(1, "fd00::5").String(), "10.0.0.5:8008:" + pair(1).Feed().String(), "junk"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		feed, addrs, err := lan.ParsePlain(text)
		if (err == nil) != (len(addrs) > 0) {
			t.Fatalf("%v %v", addrs, err)
		}
		// What was taken in is announced and read alike.
		for _, addr := range addrs {
			again, same, err := lan.ParsePlain([]byte(addr.String()))
			if err != nil || again != feed || len(same) != 1 || same[0].String() != addr.String() {
				t.Errorf("%s: %v %v", addr, same, err)
			}
		}
	})
}

func FuzzSealed(f *testing.F) {
	f.Add([]byte(jsAddress), []byte{}, []byte{})
	f.Add([]byte("junk"), []byte("x"), bytes.Repeat([]byte{9}, 200))
	f.Fuzz(func(t *testing.T, text, tail, raw []byte) {
		if _, addrs, err := lan.OpenSealed(raw, &network); err == nil {
			t.Fatalf("made up: %v", addrs)
		}
		feed, addrs, err := lan.OpenSealed(append(lan.Seal(text, pair(1), &network), tail...), &network)
		if err == nil && (feed != pair(1).Feed() || len(addrs) == 0 || len(tail) > 0) {
			t.Fatalf("%s %v", feed, addrs)
		}
	})
}
