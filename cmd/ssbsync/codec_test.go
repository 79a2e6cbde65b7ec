package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
)

// futureBundle is a bundle in a codec that does not exist yet.
func futureBundle(t *testing.T) []byte {
	t.Helper()
	pair := keys.FromSeed([32]byte{7})
	shs, err := base64.StdEncoding.DecodeString("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=")
	if err != nil {
		t.Fatal(err)
	}
	w := bundle.NewWriter(pair, bundle.Header{Network: bundle.NetworkID([32]byte(shs), nil)}, bundle.WriterOptions{})
	if err := w.Add(bundle.Record{Feed: pair.Feed(), Seq: 1, Value: []byte(`{"sequence":1}`)}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m, err := w.Finish(&out)
	if err != nil {
		t.Fatal(err)
	}
	m.Codec = "future"
	body := m.Marshal()
	sig := pair.Sign(append([]byte("ssbsync bundle v1"), body...))
	file := out.Bytes()
	size := 8 + int(binary.LittleEndian.Uint32(file[4:]))
	manifest := append(append(bytes.Clone(file[:8]), body...), sig[:]...)
	copy(file, manifest)
	copy(file[len(file)-(8+8*(len(m.Frames)+2)+9)-size:], manifest)
	return file
}

// TestCodecOfTheFuture: a bundle in a codec that this version does not know is
// not broken. Every command says which codec it is.
func TestCodecOfTheFuture(t *testing.T) {
	dir, file := t.TempDir(), futureBundle(t)
	if err := os.WriteFile(filepath.Join(dir, "future.txt"), []byte(`
exec ssbsync inspect future.ssb.zst
stdout '  codec     future'
stdout '1 message of 1 feed'
code 1 ssbsync cat future.ssb.zst
! stdout .
stderr 'codec "future" is not known to this version'
stderr 'hint: a newer ssbsync may read it'
code 1 ssbsync verify future.ssb.zst
stderr 'codec "future" is not known to this version'
exec ssbsync verify --frames-only future.ssb.zst
stdout 'ok'
code 3 ssbsync --path a import future.ssb.zst
stderr 'codec "future" is not known to this version'
`), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": codeCommand},
		Setup: func(env *testscript.Env) error {
			return os.WriteFile(filepath.Join(env.WorkDir, "future.ssb.zst"), file, 0o600)
		},
	})
}
