package bundle_test

import (
	"encoding/hex"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
)

// TestNetworkID compares with what sha256sum makes of the same bytes.
func TestNetworkID(t *testing.T) {
	var shs [32]byte
	for i := range shs {
		shs[i] = 'c'
	}
	for sign, want := range map[string]string{
		"":     "a26b5ad40017cf8181ccffb56152b1438223648274099a58e0f49d7b46236be7",
		"sign": "ab760900db08c89942284a863a1103e7809ea74b9195cce1d13772df3134ee0f",
	} {
		id := bundle.NetworkID(shs, []byte(sign))
		if got := hex.EncodeToString(id[:]); got != want {
			t.Errorf("caps.sign %q: %s, want %s", sign, got, want)
		}
	}
}
