//go:build ci && linux

package stick_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/sync/stick/internal/faultfs"
)

// sweep is one visit, prepared once, that every fault is tried on: of a node
// that has something to take, to write, to remove and to clean up.
type sweep struct {
	*village
	stores string
	backup []byte // of the store of the visitor
	tries  int
}

const visitor = 3 // its place among the nodes

func newSweep(t *testing.T, fat bool) *sweep {
	t.Helper()
	s := &sweep{village: newVillage(t, faultfs.New(0, fat), nil), stores: inMemory(t)}
	for i, nd := range s.nodes {
		nd.post(byte(i+1), 3)
		nd.post(byte(i+11), 20)
	}
	for range 3 {
		for _, nd := range s.nodes {
			s.mustVisit(nd)
		}
		s.nodes[visitor].post(visitor+1, 1)
	}
	for i := range 12 {
		s.nodes[visitor].write(visitor+11, 1, noise(5000+i))
	}
	s.nodes[0].write(1, 2, noise(6000))
	s.nodes[1].post(12, 30)
	s.mustVisit(s.nodes[0])
	s.mustVisit(s.nodes[1])
	part := fmt.Sprintf("ssbsync/tmp/%s-0123456789abcdef.part", stick.ID(s.nodes[visitor].store.ID()))
	s.disk.Put(part, []byte("given up"))
	var backup bytes.Buffer
	if _, err := s.nodes[visitor].store.WriteTo(&backup); err != nil {
		t.Fatal(err)
	}
	s.backup = backup.Bytes()
	return s
}

// mustVisit makes a visit without faults.
func (v *village) mustVisit(nd *node) {
	v.t.Helper()
	if rep, err := v.visit(nd, stick.VisitOptions{}); err != nil || rep.Partly() {
		v.t.Fatalf("visit: %v %+v", err, rep)
	}
	v.disk.Settle()
}

// fault is what goes wrong in a visit: one operation of a kind, or all of them
// from that one on.
type fault struct {
	kind    faultfs.Kind
	err     syscall.Errno
	done    bool // it happened all the same
	forever bool
}

func (f fault) String() string {
	return fmt.Sprintf("%s: %v (done %v, forever %v)", f.kind, f.err, f.done, f.forever)
}

// faults lists what is swept over.
func faults() (list []fault) {
	for _, k := range []faultfs.Kind{faultfs.Create, faultfs.Mkdir, faultfs.Write, faultfs.Fsync, faultfs.FsyncDir, faultfs.Rename, faultfs.Unlink} {
		for _, err := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
			list = append(list, fault{kind: k, err: err}, fault{kind: k, err: err, forever: true})
		}
		list = append(list, fault{kind: k, err: syscall.EIO, done: true})
	}
	for _, k := range []faultfs.Kind{faultfs.Open, faultfs.Read, faultfs.OpenDir, faultfs.ReadDir, faultfs.Lookup, faultfs.StatFs} {
		list = append(list, fault{kind: k, err: syscall.EIO}, fault{kind: k, err: syscall.EIO, forever: true})
	}
	return list
}

func (f fault) writing() bool {
	switch f.kind {
	case faultfs.Open, faultfs.Read, faultfs.OpenDir, faultfs.ReadDir, faultfs.Lookup, faultfs.StatFs:
		return false
	}
	return true
}

// stride is how far apart the operations are that are made to fail: there are
// hundreds of lookups in a visit.
func (f fault) stride() int {
	n := map[faultfs.Kind]int{faultfs.Lookup: 7, faultfs.OpenDir: 3, faultfs.ReadDir: 2}[f.kind]
	if f.forever {
		n *= 3
	}
	return max(1, n)
}

// attempt opens a copy of the visitor's store, for a visit to a copy of the disk.
func (s *sweep) attempt() (*node, *village) {
	s.t.Helper()
	s.tries++
	path := filepath.Join(s.stores, fmt.Sprint(s.tries))
	if err := os.WriteFile(path, s.backup, 0o600); err != nil {
		s.t.Fatal(err)
	}
	nd := openNode(s.t, path, visitor+1, s.nodes[visitor].policy)
	nd.peer.Reserve = 1
	stop := nd.stop
	nd.stop = func() { stop(); os.Remove(path) }
	return nd, &village{t: s.t, port: s.port, disk: s.disk.Clone(), nodes: []*node{s.nodes[0], s.nodes[1], s.nodes[2], nd}}
}

// try makes one visit with a fault at the n-th operation, and reports whether
// there was one.
func (s *sweep) try(f fault, n int) (hit bool) {
	s.t.Helper()
	nd, v := s.attempt()
	defer nd.stop()
	before := look(s.t, v.disk.Files())
	var rep stick.VisitReport
	var err error
	v.port.With(v.disk, func(root *os.Root) {
		v.disk.Fault(func(op faultfs.Op) faultfs.Outcome {
			if op.Kind != f.kind || op.N < n || op.N > n && !f.forever {
				return faultfs.Outcome{}
			}
			hit = true
			return faultfs.Outcome{Err: f.err, Done: f.done}
		})
		rep, err = nd.visitAt(root, stick.VisitOptions{})
	})
	if err != nil && !errors.Is(err, f.err) && !strings.Contains(err.Error(), f.err.Error()) {
		s.t.Errorf("the error says something else: %v", err)
	}
	s.afterwards(v, nd, before, err == nil && !rep.Partly())
	if s.t.Failed() {
		s.t.Fatalf("%v, number %d: %v %+v", f, n, err, rep)
	}
	return hit
}

// afterwards pulls the plug after a visit, wants the disk to be no worse than
// before, and everything to be well after the next visit.
func (s *sweep) afterwards(v *village, nd *node, before *onDisk, promised bool) {
	s.t.Helper()
	left := look(s.t, v.disk.Files())
	v.notWorse(nd, before, left)
	v.disk.Crash(rand.New(rand.NewPCG(uint64(s.tries), 0)))
	after := look(s.t, v.disk.Files())
	v.notWorse(nd, before, after)
	v.acknowledged(after)
	if promised {
		v.kept(left, after)
	}
	v.disk.Resize(0)
	v.mustVisit(nd)
	s.complete(v, nd)
}

// complete wants the visitor to have, to have given and to have acknowledged
// everything.
func (s *sweep) complete(v *village, nd *node) {
	s.t.Helper()
	c := look(s.t, v.disk.Files())
	have := c.haves[nd.store.ID()]
	most := make(map[refs.Feed]int64)
	for _, other := range v.nodes {
		for f, seq := range other.holds() {
			most[f] = max(most[f], seq)
		}
	}
	held := nd.holds()
	for f, seq := range most {
		if held[f] != seq || have == nil || have.Base == 0 && have.Holds(f) != seq {
			s.t.Errorf("feed %s: holds %d of %d, says %+v", f, held[f], seq, have)
		}
		for i, other := range v.nodes {
			if from := other.holds()[f] + 1; from <= seq && !c.messages.Covers(f, from, seq) {
				s.t.Errorf("node %d lacks feed %s from %d to %d, and it is not on the medium", i+1, f, from, seq)
			}
		}
	}
	for name := range v.disk.Files() {
		if strings.HasSuffix(name, ".part") {
			s.t.Errorf("left over: %s", name)
		}
	}
}

// TestEveryFault lets the operations of a visit fail, one after the other.
func TestEveryFault(t *testing.T) {
	cases := 0
	for _, fat := range []bool{false, true} {
		s := newSweep(t, fat)
		for _, f := range faults() {
			if fat && !f.writing() {
				continue // reads are the same
			}
			tried := 0
			for n := 1; s.try(f, n); n += f.stride() {
				tried++
			}
			cases += tried
			t.Logf("FAT %v: %v: at %d operations", fat, f, tried)
		}
	}
	t.Logf("%d cases: faults of a medium", cases)
}

// TestFullMedium gives a visit every amount of room, page by page.
func TestFullMedium(t *testing.T) {
	s := newSweep(t, true)
	used, full := s.disk.Used(), 0
	for room := int64(0); ; room += 4096 {
		nd, v := s.attempt()
		v.tight = true
		v.disk.Resize(used + room)
		before := look(t, v.disk.Files())
		rep, err := v.visit(nd, stick.VisitOptions{})
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the error says something else: %v", err)
		}
		if rep.Export.NoHave && (err != nil || len(rep.Export.Warnings) == 0) {
			t.Errorf("no room for the have: %v %+v", err, rep.Export)
		}
		v.notForNothing(before, look(t, v.disk.Files()))
		s.afterwards(v, nd, before, err == nil)
		nd.stop()
		if t.Failed() {
			t.Fatalf("with %d bytes free: %v %+v", room, err, rep)
		}
		if err == nil && !rep.Export.NoHave && rep.Export.Left == 0 && room > 128<<10 {
			break
		}
		full++
	}
	t.Logf("%d cases: a full medium", full)
}

// TestFullMediumOfCargo lets a node that has news visit a medium, full of what
// another one lacks, with every amount of room.
func TestFullMediumOfCargo(t *testing.T) {
	v := newVillage(t, faultfs.New(0, true), nil)
	a, b := v.nodes[0], v.nodes[1]
	v.nodes, v.tight = v.nodes[:2], true
	v.mustVisit(b)
	v.mustVisit(a)
	a.post(11, 300)
	v.mustVisit(a)
	a.peer.Reserve = 1
	whole, left := v.disk, 0
	for room := int64(0); room < 64<<10; room += 4096 {
		v.disk = whole.Clone()
		v.disk.Resize(v.disk.Used() + room)
		a.write(1, 1, noise(3000))
		before := look(t, v.disk.Files())
		rep, err := v.visit(a, stick.VisitOptions{})
		if err != nil {
			t.Errorf("with %d bytes free: %v", room, err)
		}
		if rep.Export.NoHave {
			left++
		}
		after := look(t, v.disk.Files())
		v.notForNothing(before, after)
		v.notWorse(a, before, after)
	}
	if left == 0 {
		t.Error("there was room for a have each time")
	}
}

// TestUnreadableHave: somebody whose have cannot be read, and was never read,
// may lack what all others hold. Nothing goes as long as that is so.
func TestUnreadableHave(t *testing.T) {
	v := newVillage(t, faultfs.New(0, true), nil)
	a, b, c := v.nodes[0], v.nodes[1], v.nodes[2]
	v.mustVisit(c)
	have := stick.HaveName(c.store.ID(), 1)
	for i := range 20 {
		a.write(11, 1, noise(6000+i))
	}
	visit := func(nd *node, kind faultfs.Kind) stick.VisitReport {
		t.Helper()
		var rep stick.VisitReport
		v.port.With(v.disk, func(root *os.Root) {
			v.disk.Fault(func(op faultfs.Op) faultfs.Outcome {
				if op.Kind != kind || op.Path != have {
					return faultfs.Outcome{}
				}
				return faultfs.Outcome{Err: syscall.EIO}
			})
			var err error
			if rep, err = nd.visitAt(root, stick.VisitOptions{}); err != nil {
				t.Error(err)
			}
		})
		v.disk.Settle()
		return rep
	}
	for _, nd := range []*node{a, b, a} {
		visit(nd, faultfs.Open)
	}
	a.peer.Part = 100 << 10
	for i := range 8 {
		a.write(12, 1, noise(6500+i))
	}
	for _, kind := range []faultfs.Kind{faultfs.Open, faultfs.Read} {
		if rep := visit(a, kind); rep.Export.Removed != 0 || rep.Export.Left != 8 {
			t.Errorf("%s fails: %+v", kind, rep.Export)
		}
	}
	v.mustVisit(c)
	if rep := visit(a, ""); rep.Export.Removed == 0 {
		t.Errorf("when all can be read, and all have it: %+v", rep.Export)
	}
}
