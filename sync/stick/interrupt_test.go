package stick_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestInterruptedExport cancels exports at every progress call they make: what
// they leave is never taken for a bundle, and the next one completes it.
func TestInterruptedExport(t *testing.T) {
	a := newNode(t, 1)
	for n := byte(11); n < 20; n++ {
		a.post(n, 300)
	}
	for stop := 1; ; stop++ {
		m, b := newMedium(t), newNode(t, 2)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		_, err := a.peer.Export(ctx, m.open(), stick.ExportOptions{Progress: func(stick.Progress) {
			if calls++; calls == stop {
				cancel()
			}
		}})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at call %d: %v", stop, err)
		}
		if rep := b.importAll(m); rep.Partly() || rep.New != 0 && rep.New != 2700 {
			t.Errorf("after a stop at call %d: %+v", stop, rep)
		}
		a.export(m, stick.ExportOptions{})
		if rep := b.importAll(m); rep.Partly() || b.head(19) != 300 {
			t.Errorf("after completion: %+v", rep)
		}
		if calls < stop {
			t.Logf("%d points of interruption", stop-1)
			break
		}
	}
}

func TestInterruptedImport(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	for n := byte(11); n < 20; n++ {
		a.write(n, 300, strings.Repeat("long ", 100))
	}
	a.export(m, stick.ExportOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	st := m.open()
	rep, err := b.peer.Import(ctx, st, stick.ImportOptions{Progress: func(p stick.Progress) {
		if p.Messages > 0 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || rep.New == 0 || rep.New == 2700 {
		t.Errorf("interrupted import: %v %+v", err, rep)
	}
	kept := rep.New
	if rep := b.importAll(m); rep.New != 2700-kept || rep.Duplicate != 0 {
		t.Errorf("repeated import: %+v", rep)
	}
}

func TestLeftovers(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.visit(m)
	part := func(id stick.ID) string { return "ssbsync/tmp/" + id.String() + "-0123456789abcdef.part" }
	m.write(part(a.store.ID()), []byte("half a bundle"))
	m.write("ssbsync/tmp/notes.txt", []byte("not ours"))
	b.visit(m)
	if len(m.files(".part")) != 1 {
		t.Fatal("b removed a file that a may be writing")
	}
	a.visit(m)
	if len(m.files(".part")) != 0 {
		t.Error("a left its own leftover")
	}
	// Another store's goes after it was the same for three visits of ours.
	m.write(part(stick.ID{1}), []byte("given up"))
	for visit := 1; visit <= 4; visit++ {
		if visit == 2 {
			m.write(part(stick.ID{1}), []byte("given up later"))
		}
		if len(m.files(".part")) != 1 {
			t.Fatalf("gone before visit %d", visit)
		}
		b.visit(m)
	}
	b.visit(m)
	if len(m.files(".part")) != 0 || len(m.files("notes.txt")) != 1 {
		t.Errorf("left: %v", m.files(""))
	}
}

// TestManyLeftovers: temporary files of others cost one transaction a visit,
// however many there are.
func TestManyLeftovers(t *testing.T) {
	const files = 1500
	b, m := newNode(t, 2), newMedium(t)
	m.open()
	for i := range files {
		m.write(fmt.Sprintf("ssbsync/tmp/%s-%016x.part", stick.ID{1}, i), []byte("given up"))
	}
	for visit := 1; visit <= 3; visit++ {
		b.visit(m)
		if n := len(m.files(".part")); n != files {
			t.Fatalf("%d left after visit %d", n, visit)
		}
	}
	left := files
	for range 5 {
		b.visit(m)
		if n := len(m.files(".part")); n < left {
			left = n
			t.Logf("%d left", left)
		}
	}
	if left != 0 {
		t.Errorf("%d left", left)
	}
}

// TestCapacityLeftover: what a killed test of the capacity left goes with the
// next visit that may write.
func TestCapacityLeftover(t *testing.T) {
	a, m := newNode(t, 1), newMedium(t)
	left := filepath.Join(m.dir, "ssbsync-capacity/capacity-0123456789abcdef-00000.part")
	if err := errors.Join(os.Mkdir(filepath.Dir(left), 0o755), os.WriteFile(left, []byte("left"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.peer.Visit(t.Context(), m.open(), stick.VisitOptions{Export: stick.ExportOptions{DryRun: true}}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("a dry run: %v", err)
	}
	a.visit(m)
	if _, err := os.Stat(filepath.Dir(left)); err == nil {
		t.Error("it is still there")
	}
}

// TestReadOnly: on a medium that takes no writes the import counts, and what was
// not written is named.
func TestReadOnly(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 10)
	a.visit(m)
	b.peer.SetFault(func(string, string) error { return syscall.EROFS })
	for _, posted := range []int{0, 3} {
		b.post(2, posted)
		rep := b.visit(m)
		named := strings.Contains(strings.Join(rep.Export.Warnings, " "), "3 new messages")
		if !rep.ReadOnly || !rep.Partly() || b.head(11) != 10 || named != (posted > 0) {
			t.Errorf("with %d messages: %+v", posted, rep)
		}
	}
}

// obstruct makes the medium refuse writes in a way that root feels too: what
// must be a directory is a file, and all names that it could be given are taken.
func (m *medium) obstruct(dir string) {
	dir = filepath.Join(m.dir, dir)
	os.RemoveAll(dir)
	os.WriteFile(dir, nil, 0o666)
	for i := range 100 {
		os.WriteFile(fmt.Sprintf("%s.odd%d", dir, i+1), nil, 0o666)
	}
}

// TestUnwritable is about a medium that takes no writes.
func TestUnwritable(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(11, 10)
	a.visit(m)
	b.post(2, 3)
	m.obstruct("ssbsync/tmp")
	m.unchanged(func() {
		rep, err := b.peer.Visit(t.Context(), m.open(), stick.VisitOptions{})
		if err == nil || !strings.Contains(err.Error(), "ssbsync/tmp") {
			t.Errorf("error: %v", err)
		}
		if rep.Import.New != 10 {
			t.Errorf("what could be imported was not: %+v", rep.Import)
		}
	})
}
