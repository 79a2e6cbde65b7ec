package node_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestBackupWithBlobs backs up own and fetched blobs, restores them while that is
// interrupted, and looks whose they are then.
func TestBackupWithBlobs(t *testing.T) {
	source, r := start(t, `{}`), start(t, `{}`)
	fetched := addBlob(t, source.socket(t), bytes.Repeat([]byte{1}, 300_000))
	own := addBlob(t, r.socket(t), bytes.Repeat([]byte{2}, 200_000))
	empty := addBlob(t, r.socket(t), nil)
	call(t, r.socket(t), "gossip.connect", source.addr.String())
	call(t, r.socket(t), "blobs.want", fetched.String())
	for which, want := range map[node.BackupBlobs][]refs.Blob{
		"": nil, node.NoBlobs: nil, node.OwnBlobs: {own, empty}, node.AllBlobs: {fetched, own, empty},
	} {
		b := backup(t, r.socket(t), node.BackupOptions{Blobs: which})
		var got []refs.Blob
		if err := b.EachBlob(func(id refs.Blob, _ *io.SectionReader) error { got = append(got, id); return nil }); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, refs.Blob.Compare)
		slices.SortFunc(want, refs.Blob.Compare)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", which, got, want)
		}
	}
	b := backup(t, r.socket(t), node.BackupOptions{Blobs: node.AllBlobs})
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	ctx, stop := context.WithCancel(t.Context())
	_, err := node.Restore(ctx, node.RestoreOptions{Home: home, Backup: b, Progress: func(_ stick.Phase, done int64) {
		if done > b.Header().Size {
			stop() // some blobs are there
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	wantEmpty(t, "interrupted", dir)
	report, err := node.Restore(t.Context(), node.RestoreOptions{Home: home, Backup: b, Secret: r.homeFile(t, "secret")})
	if err != nil || report.Blobs != 3 || report.BlobBytes != 500_000 || report.Damaged != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	again := startIn(t, home, `{}`)
	want := []refs.Blob{own, empty} // what was fetched counts as fetched
	var got []refs.Blob
	if err := backup(t, again.socket(t), node.BackupOptions{Blobs: node.OwnBlobs}).EachBlob(func(id refs.Blob, _ *io.SectionReader) error {
		got = append(got, id)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, refs.Blob.Compare)
	slices.SortFunc(want, refs.Blob.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("own after the restore: %v, want %v", got, want)
	}
	if data, err := getBlob(again.socket(t), "blobs.get", fmt.Sprintf("%q", fetched)); err != nil || refs.SumBlob(data) != fetched {
		t.Errorf("what was fetched: %d bytes, %v", len(data), err)
	}
}

// TestRestoreFalseBlobs: what is not the blob that a backup says is left out, and
// named.
func TestRestoreFalseBlobs(t *testing.T) {
	r := start(t, `{}`)
	b := backup(t, r.socket(t), node.BackupOptions{})
	var database, file bytes.Buffer
	if err := b.WriteDatabase(io.Discard); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(filepath.Join(t.TempDir(), "db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h, err := s.Snapshot(b.Header().Identity, &database)
	if err != nil {
		t.Fatal(err)
	}
	h.Packed, h.Network = int64(database.Len()), b.Header().Network
	good, bad := []byte("good"), refs.SumBlob([]byte("bad"))
	err = store.WriteBackup(&file, h, &database, func(add store.AddBlob) error {
		return errors.Join(add(bad, int64(len(good)), bytes.NewReader(good)), add(refs.SumBlob(good), int64(len(good)), bytes.NewReader(good)))
	})
	if err != nil {
		t.Fatal(err)
	}
	lie, err := store.OpenBackup(bytes.NewReader(file.Bytes()), int64(file.Len()), nil)
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(t.TempDir(), "home")
	report, err := node.Restore(t.Context(), node.RestoreOptions{Home: home, Backup: lie})
	if err != nil || report.Blobs != 1 || report.Damaged != 1 || !slices.Equal(report.BadBlobs, []refs.Blob{bad}) {
		t.Errorf("%+v, %v", report, err)
	}
	count := 0
	err = filepath.WalkDir(filepath.Join(home, "blobs"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			count++
		}
		return err
	})
	if err != nil || count != 1 {
		t.Errorf("%d files, %v", count, err)
	}
}

// TestBackupHollow: a blob of which only an empty file is left is not in a backup,
// and the report says so.
func TestBackupHollow(t *testing.T) {
	r := start(t, `{}`)
	id := addBlob(t, r.socket(t), []byte("own"))
	digits := hex.EncodeToString(id[:])
	if err := os.Truncate(filepath.Join(r.home, "blobs", "sha256", digits[:2], digits[2:]), 0); err != nil {
		t.Fatal(err)
	}
	stream, err := r.socket(t).Source(t.Context(), "ssbsync.backup", node.BackupOptions{Blobs: node.OwnBlobs})
	if err != nil {
		t.Fatal(err)
	}
	var report node.BackupReport
	for {
		item, err := stream.Recv(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if item.Kind == muxrpc.JSON {
			unmarshal(t, string(item.Body), &report)
		}
	}
	if want := []node.BadBlob{{ID: id, Reason: "it is empty", Own: true}}; report.Damaged != 1 || !slices.Equal(report.Bad, want) {
		t.Errorf("%+v, want %+v", report, want)
	}
}
