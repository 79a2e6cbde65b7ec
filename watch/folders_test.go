package watch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/watch"
)

const settle = 30 * time.Millisecond

// shared makes a folder as a visit leaves it.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/ssbsync/stick.json", "{}")
	write(t, dir+"/ssbsync/have/a-1.have", "a has")
	write(t, dir+"/ssbsync/bundles/ab/abc.ssb.zst", "bundle")
	write(t, dir+"/ssbsync/tmp/a-x.part", "half")
	return dir
}

// follow watches dir, with an hour between rescans, and waits until it does.
func follow(t *testing.T, dir string) (*watch.Watcher, chan watch.Event) {
	t.Helper()
	_, w := fake(t, watch.Config{Folders: []string{dir}, Settle: settle, Rescan: time.Hour}, "!/ root")
	events, _ := started(t, w)
	if e := expect(t, events, dir, "mounted"); !e.Medium.Folder {
		t.Errorf("mounted %+v", e.Medium)
	}
	return w, events
}

func TestFolderChanges(t *testing.T) {
	dir := shared(t)
	_, events := follow(t, dir)
	changes := []struct {
		name string
		do   func()
	}{
		{"a new have", func() { write(t, dir+"/ssbsync/have/b-1.have", "b has") }},
		{"a new bundle", func() { write(t, dir+"/ssbsync/bundles/ab/abd.ssb.zst", "x") }},
		{"a bundle in a new folder", func() { write(t, dir+"/ssbsync/bundles/zz/zzz.ssb.zst", "x") }},
		{"another one in that folder", func() { write(t, dir+"/ssbsync/bundles/zz/zzy.ssb.zst", "x") }},
		{"a file renamed into place", func() {
			write(t, dir+"/ssbsync/tmp/c", "c has")
			must(t, os.Rename(dir+"/ssbsync/tmp/c", dir+"/ssbsync/have/c-1.have"))
		}},
		{"a bundle that grows", func() { write(t, dir+"/ssbsync/bundles/ab/abd.ssb.zst", "xy") }},
		{"a bundle gone", func() { must(t, os.Remove(dir+"/ssbsync/bundles/ab/abc.ssb.zst")) }},
		{"a folder gone", func() { must(t, os.RemoveAll(dir+"/ssbsync/bundles/zz")) }},
		{"the folder again", func() { write(t, dir+"/ssbsync/bundles/zz/zzz.ssb.zst", "x") }},
		{"and a file in it", func() { write(t, dir+"/ssbsync/bundles/zz/zza.ssb.zst", "x") }},
		{"all gone", func() { must(t, os.RemoveAll(dir+"/ssbsync")) }},
	}
	for _, c := range changes {
		c.do()
		expect(t, events, dir, "changed")
		t.Log(c.name)
	}
	t.Logf("%d changes", len(changes))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFolderChangesThatAreNone(t *testing.T) {
	dir := shared(t)
	_, events := follow(t, dir)
	write(t, dir+"/ssbsync/tmp/b-y.part", "half")
	write(t, dir+"/ssbsync/have/.syncthing.b-1.have.tmp", "half")
	write(t, dir+"/other/file", "nobody's")
	write(t, dir+"/ssbsync/have/gone", "x")
	must(t, os.Remove(dir+"/ssbsync/have/gone"))
	must(t, os.Symlink("/etc/passwd", dir+"/ssbsync/have/link"))
	if _, err := os.ReadDir(dir + "/ssbsync/have"); err != nil {
		t.Fatal(err)
	}
	silence(t, events, dir, 5*settle)
}

// While files keep changing nothing is told; then it is told once.
func TestFolderSettles(t *testing.T) {
	const long = 400 * time.Millisecond
	dir := shared(t)
	_, w := fake(t, watch.Config{Folders: []string{dir}, Settle: long, Rescan: time.Hour})
	events, _ := started(t, w)
	expect(t, events, dir, "mounted")
	judged := 0
	for round := 0; round < 10 && judged == 0; round++ {
		last, gap := time.Now(), time.Duration(0)
		for i := range 30 {
			write(t, fmt.Sprintf("%s/ssbsync/bundles/ab/%d-%d.ssb.zst", dir, round, i), "x")
			gap = max(gap, time.Since(last))
			last = time.Now()
			time.Sleep(long / 20)
		}
		expect(t, events, dir, "changed")
		if gap > long/2 {
			continue // a busy machine let the folder rest
		}
		judged++
		if rest := time.Since(last); rest < long/2 {
			t.Errorf("told %v after the last change", rest)
		}
		silence(t, events, dir, 2*long)
	}
	if judged == 0 {
		t.Error("this machine is too busy to tell a change from a rest")
	}
}

// A folder that never rests is told all the same.
func TestFolderNeverRests(t *testing.T) {
	dir := shared(t)
	const short = 5 * time.Millisecond
	_, w := fake(t, watch.Config{Folders: []string{dir}, Settle: short, Rescan: time.Hour})
	events, _ := started(t, w)
	expect(t, events, dir, "mounted")
	deadline := time.Now().Add(soon)
	for i := 0; time.Now().Before(deadline); i++ {
		write(t, dir+"/ssbsync/have/busy", fmt.Sprint(i))
		select {
		case <-events:
			return
		case <-time.After(short / 5):
		}
	}
	t.Error("nothing was told")
}

// Without a word from the system the rescan finds the change: here because
// ssbsync/ did not exist, so that nothing was watched.
func TestFolderRescan(t *testing.T) {
	dir := t.TempDir()
	_, w := fake(t, watch.Config{Folders: []string{dir}, Settle: settle / 4, Rescan: settle / 2})
	events, _ := started(t, w)
	expect(t, events, dir, "mounted")
	write(t, dir+"/ssbsync/stick.json", "{}")
	expect(t, events, dir, "changed")
	silence(t, events, dir, 5*settle)
}

func TestFolderComesAndGoes(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "later")
	_, w := fake(t, watch.Config{Folders: []string{dir, dir}, Settle: settle / 4, Rescan: settle / 2})
	events, _ := started(t, w)
	silence(t, events, root, settle)
	must(t, os.Rename(shared(t), dir))
	expect(t, events, root, "mounted /later")
	must(t, os.Rename(dir, dir+".old"))
	expect(t, events, root, "unmounted /later")
	write(t, dir, "a file is no folder")
	silence(t, events, root, 3*settle)
	must(t, os.Remove(dir))
	must(t, os.Mkdir(dir, 0o755))
	expect(t, events, root, "mounted /later")
}

func TestFolderThroughLink(t *testing.T) {
	dir := shared(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		if runtime.GOOS == "windows" {
			return // only administrators may
		}
		t.Fatal(err)
	}
	_, w := fake(t, watch.Config{Folders: []string{link}, Settle: settle})
	events, _ := started(t, w)
	expect(t, events, dir, "mounted")
	write(t, dir+"/ssbsync/have/b-1.have", "b has")
	expect(t, events, dir, "changed")
}

func TestSetFolders(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	for _, name := range []string{"a", "b"} {
		write(t, filepath.Join(root, name, "ssbsync/stick.json"), "{}")
	}
	_, w := fake(t, watch.Config{Folders: []string{root + "/a"}, Settle: settle, Rescan: time.Hour})
	events, _ := started(t, w)
	expect(t, events, root, "mounted /a")
	must(t, w.SetFolders([]string{root + "/b", root + "/a"}))
	expect(t, events, root, "mounted /b")
	must(t, w.SetFolders([]string{root + "/b"}))
	expect(t, events, root, "unmounted /a")
	write(t, root+"/a/ssbsync/have/x", "x")
	silence(t, events, root, 3*settle)
	write(t, root+"/b/ssbsync/have/x", "x")
	expect(t, events, root, "changed /b")
}

// A stick mounted over a folder that is watched takes its place, and nothing is
// watched on it.
func TestFolderUnderStick(t *testing.T) {
	dir := shared(t)
	m, w := fake(t, watch.Config{Folders: []string{dir}, Settle: settle / 4, Rescan: settle / 2}, "!/ root")
	events, _ := started(t, w)
	if e := expect(t, events, dir, "mounted"); e.Medium.Device != "root" || e.Medium.Removable || !e.Medium.Folder {
		t.Errorf("the folder is %+v", e.Medium)
	}
	m.set("!/ root", dir+" stick usb")
	expect(t, events, dir, "unmounted")
	if e := expect(t, events, dir, "mounted"); e.Medium.Device != "stick" || !e.Medium.Removable || !e.Medium.Folder {
		t.Errorf("the stick is %+v", e.Medium)
	}
	watchesGone(t)
	write(t, dir+"/ssbsync/have/b-1.have", "b has")
	silence(t, events, dir, 3*settle)
	m.set("!/ root", filepath.Dir(dir)+" stick2 usb", dir+" disk")
	expect(t, events, dir, "unmounted", "mounted")
	rest(events) // a change may be told until it is watched
	write(t, dir+"/ssbsync/have/c-1.have", "c has")
	expect(t, events, dir, "changed")
	m.set("!/ root")
	expect(t, events, dir, "unmounted", "mounted")
	m.set("!/ root", filepath.Dir(dir)+" over")
	expect(t, events, filepath.Dir(dir), "unmounted /"+filepath.Base(dir), "mounted", "mounted /"+filepath.Base(dir))
}

// watchesGone waits until this process has no inotify watch.
func watchesGone(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	n := 0
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if n = inotifyWatches(t); n == 0 {
			return
		}
	}
	t.Errorf("%d watches are left", n)
}

func inotifyWatches(t *testing.T) (n int) {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	must(t, err)
	for _, name := range infos {
		text, _ := os.ReadFile(name) // the one of Glob itself is gone
		n += strings.Count(string(text), "inotify wd:")
	}
	return n
}

func TestIgnore(t *testing.T) {
	visit := func(dir string) {
		write(t, dir+"/ssbsync/bundles/zz/own.ssb.zst", "mine")
		write(t, dir+"/ssbsync/have/a-2.have", "a has more")
		must(t, os.Remove(dir+"/ssbsync/have/a-1.have"))
	}
	own := []string{"ssbsync/bundles/zz/own.ssb.zst", "ssbsync/have/a-2.have", "ssbsync/have/a-1.have"}
	cases := []struct {
		name   string
		others bool
		own    []string
		told   bool
	}{
		{"all is the visit's own", false, nil, false},
		{"all is the visit's own, by name", false, own, false},
		{"others wrote meanwhile, unasked", true, nil, false},
		{"others wrote meanwhile", true, own, true},
		{"a name forgotten", false, own[1:], true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := shared(t)
			w, events := follow(t, dir)
			resume := w.Ignore(dir)
			again := w.Ignore(dir + "/") // a second one that overlaps
			visit(dir)
			if c.others {
				write(t, dir+"/ssbsync/have/b-1.have", "b has")
			}
			silence(t, events, dir, 3*settle)
			resume(c.own...)
			resume(c.own...)
			silence(t, events, dir, 2*settle)
			again(c.own...)
			if c.told {
				expect(t, events, dir, "changed")
			}
			silence(t, events, dir, 3*settle)
			write(t, dir+"/ssbsync/have/c-1.have", "c has")
			expect(t, events, dir, "changed")
		})
	}
}

// A visit sees what changed before it began.
func TestIgnoreTakesWhatIsPending(t *testing.T) {
	dir := shared(t)
	w, events := follow(t, dir)
	write(t, dir+"/ssbsync/have/b-1.have", "b has")
	resume := w.Ignore(dir)
	time.Sleep(2 * settle)
	resume()
	silence(t, events, dir, 3*settle)
	w.Ignore(dir)() // nothing at all
	w.Ignore("/nowhere")("ssbsync/x")
	silence(t, events, dir, 2*settle)
}

// A folder full of junk costs bounded work, and what matters is still seen.
func TestFolderFullOfJunk(t *testing.T) {
	dir := shared(t)
	for i := range 1_400 {
		must(t, os.Mkdir(fmt.Sprintf("%s/ssbsync/bundles/%d", dir, i), 0o755))
	}
	deep := dir + "/ssbsync/a/b/c/d/e"
	write(t, deep+"/file", "too deep")
	_, events := follow(t, dir)
	if runtime.GOOS == "linux" {
		if n := inotifyWatches(t); n > 1_200 {
			t.Errorf("%d folders are watched", n)
		}
	}
	write(t, deep+"/file", "still too deep")
	silence(t, events, dir, 3*settle)
	write(t, dir+"/ssbsync/stick.json", "{ }")
	expect(t, events, dir, "changed")
}
