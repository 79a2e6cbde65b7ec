package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/watch"
)

// patience is how long a test waits for what must happen.
const patience = 90 * time.Second

// kiosk is the config of a node that takes every feed.
const kiosk = `{"ssbsync":{"replicate":"all"}}`

// visitor is a node that visits media, off every network.
type visitor struct {
	*node.Node
	t      testing.TB
	home   string
	log    *buffer
	events chan node.MediaEvent
	s      *muxrpc.Session
	stop   func()
}

// settings are what a test changes of a visitor.
type settings struct {
	config string
	media  node.MediaOptions
	source node.MediaSource // nil: the system's, plain folders only
	now    func() time.Time
}

// openVisitor opens a node that visits media.
func openVisitor(t testing.TB, o settings) *visitor {
	t.Helper()
	v := &visitor{t: t, home: t.TempDir(), log: new(buffer), events: make(chan node.MediaEvent, 10_000)}
	if err := errors.Join(os.Chmod(v.home, 0o700), os.WriteFile(filepath.Join(v.home, "config"), []byte(o.config), 0o600)); err != nil {
		t.Fatal(err)
	}
	v.run(o)
	return v
}

// run opens the node and starts it.
func (v *visitor) run(o settings) {
	v.t.Helper()
	var err error
	v.Node, err = node.Open(node.Options{
		Home: v.home, Version: "test", Now: o.now, Log: slog.New(slog.NewTextHandler(v.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OnMedia: func(e node.MediaEvent) { v.events <- e },
	})
	if err != nil {
		v.t.Fatal(err)
	}
	if o.source != nil {
		v.SetMedia(o.source)
	}
	if o.media.Settle == 0 {
		o.media.Settle = 20 * time.Millisecond
	}
	if o.media.Every == 0 {
		o.media.Every = 20 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- v.Run(ctx, node.ServerOptions{Offline: true, Media: o.media, Ready: func([]string) { close(ready) }})
	}()
	var once sync.Once
	v.stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-ended, v.Close()); err != nil {
				v.t.Errorf("ending: %v", err)
			}
		})
	}
	select {
	case <-ready:
	case err := <-ended:
		v.t.Fatal(err)
	}
	v.t.Cleanup(v.stop)
	if v.s, err = node.Dial(context.Background(), v.home); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { v.s.Close() })
}

// await waits for an event at a path, and returns it. Events of other media of
// this machine are none of ours.
func (v *visitor) await(path string, kind node.MediaKind) node.MediaEvent {
	v.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e := <-v.events:
			if e.Path == path && e.Kind == kind {
				return e
			}
		case <-deadline:
			v.t.Fatalf("%s of %s is not told\n%s", kind, path, v.log)
		}
	}
}

// awaitMoved waits for visits until they have moved that many messages.
func (v *visitor) awaitMoved(path string, in, out int64) {
	v.t.Helper()
	for gotIn, gotOut := int64(0), int64(0); gotIn < in || gotOut < out; {
		e := v.await(path, node.MediaDone)
		if e.Result != node.ResultDone || !e.Safe || e.Error != "" {
			v.t.Fatalf("visit: %+v", e)
		}
		if gotIn, gotOut = gotIn+e.In, gotOut+e.Out; gotIn > in || gotOut > out {
			v.t.Fatalf("moved %d in and %d out, want %d and %d", gotIn, gotOut, in, out)
		}
	}
}

// enroll enrols a folder over the API.
func (v *visitor) enroll(path, label string) node.StickInfo {
	v.t.Helper()
	items := collect(v.t, v.s, -1, "ssbsync.stick.enroll", fmt.Sprintf(`{"path":%q,"label":%q}`, path, label))
	var item node.EnrollItem
	if err := json.Unmarshal([]byte(items[len(items)-1]), &item); err != nil || item.Stick == nil {
		v.t.Fatalf("enrolling: %v %q", err, items)
	}
	return *item.Stick
}

func (v *visitor) post(text string) {
	v.t.Helper()
	publish(v.t, v.s, fmt.Sprintf(`{"type":"post","text":%q}`, text))
}

// messages returns how many messages the node holds.
func (v *visitor) messages() int {
	v.t.Helper()
	return len(collect(v.t, v.s, -1, "createLogStream", `{}`))
}

// filesOf returns the files below a folder with their sizes.
func filesOf(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	files := map[string]int64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files[strings.TrimPrefix(path, dir)] = info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// folder makes a plain folder whose path has no links in it.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// marked makes a folder a stick that nobody is enrolled on.
func marked(t testing.TB, label string) (dir string, id stick.ID) {
	t.Helper()
	dir = folder(t)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s, err := stick.CreateLabelled(root, label)
	if err != nil {
		t.Fatal(err)
	}
	return dir, s.ID()
}

// TestSharedFolder lets two nodes share a folder: what one publishes reaches
// the other by itself, and then both are silent.
func TestSharedFolder(t *testing.T) {
	dir := folder(t)
	a, b := openVisitor(t, settings{config: kiosk}), openVisitor(t, settings{config: kiosk})
	a.post("before")
	info := a.enroll(dir, "shared")
	if info.Folder != dir || !info.Enrolled || info.Label != "shared" {
		t.Errorf("enrolled: %+v", info)
	}
	a.awaitMoved(dir, 0, 1)
	b.enroll(dir, "")
	b.awaitMoved(dir, 1, 0)
	b.post("an answer")
	b.awaitMoved(dir, 0, 1)
	a.awaitMoved(dir, 1, 0)
	a.post("a last word")
	a.awaitMoved(dir, 0, 1)
	b.awaitMoved(dir, 1, 0)
	if a.messages() != 3 || b.messages() != 3 {
		t.Errorf("a holds %d messages, b %d", a.messages(), b.messages())
	}

	// Each has said all that it has to say once two visits each write nothing.
	var before map[string]int64
	for quiet := 0; quiet < 2; {
		for _, v := range []*visitor{a, b} {
			collect(t, v.s, -1, "ssbsync.sync", fmt.Sprintf(`{"path":%q}`, dir))
		}
		now := filesOf(t, dir)
		if quiet++; !maps.Equal(now, before) {
			quiet = 0
		}
		before = now
	}
	// Whatever still happens by itself writes nothing either.
	time.Sleep(200 * time.Millisecond)
	if now := filesOf(t, dir); !maps.Equal(now, before) {
		t.Errorf("they go on:\n%v\n%v", before, now)
	}
	for _, v := range []*visitor{a, b} {
		v.stop()
		close(v.events)
		visits := 0
		for e := range v.events {
			if e.Kind == node.MediaDone && e.Path == dir {
				visits++
			}
			if e.Kind == node.MediaDone && e.In+e.Out != 0 && e.Path == dir {
				t.Errorf("a visit after all had moved: %+v", e)
			}
		}
		t.Logf("%d visits without news at the end", visits)
	}
}

// fakeMedia tells of what the test says.
type fakeMedia struct {
	events  chan watch.Event
	handled chan struct{}
	mu      sync.Mutex
	folders []string
	ignored []string
}

func newFakeMedia() *fakeMedia {
	return &fakeMedia{events: make(chan watch.Event), handled: make(chan struct{})}
}

func (f *fakeMedia) Run(ctx context.Context, handle func(watch.Event)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-f.events:
			handle(e)
			f.handled <- struct{}{}
		}
	}
}

func (f *fakeMedia) SetFolders(folders []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.folders = folders
	return nil
}

func (f *fakeMedia) Ignore(path string) func(own ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ignored = append(f.ignored, path)
	return func(own ...string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ignored = append(f.ignored, own...)
	}
}

// tell tells of a medium and returns when it was taken note of.
func (f *fakeMedia) tell(kind watch.Kind, m watch.Medium) {
	f.events <- watch.Event{Kind: kind, Medium: m}
	<-f.handled
}

func usb(path string) watch.Medium {
	return watch.Medium{Path: path, Device: "/dev/sdx1", Label: "USB", FSType: "vfat", Removable: true}
}

// TestModes plugs in sticks that a node knows and does not know.
func TestModes(t *testing.T) {
	for _, test := range []struct {
		auto          node.Auto
		known, exotic node.MediaKind // what is told last of a known and an unknown stick
	}{
		{node.AutoEnrolled, node.MediaDone, node.MediaUnknown},
		{node.AutoAll, node.MediaDone, node.MediaDone},
		{node.AutoAsk, node.MediaDone, node.MediaAsking},
	} {
		t.Run(string(test.auto), func(t *testing.T) {
			source := newFakeMedia()
			v := openVisitor(t, settings{config: kiosk, source: source, media: node.MediaOptions{Auto: test.auto}})
			v.post("hello")
			known, _ := marked(t, "known")
			exported, _ := marked(t, "")
			exotic, _ := marked(t, "exotic")
			blank := folder(t)
			v.enroll(known, "")
			collect(t, v.s, -1, "ssbsync.export", fmt.Sprintf(`{"path":%q}`, exported))
			untouched := filesOf(t, exotic)
			for _, path := range []string{known, exported, exotic, blank} {
				source.tell(watch.Mounted, usb(path))
			}
			if e := v.await(known, test.known); e.Label != "known" || e.Out != 1 || !e.Safe || e.Wait < 0 || e.Seconds <= 0 {
				t.Errorf("known: %+v", e)
			}
			if e := v.await2(exported, node.MediaDone); e.Label != "USB" || e.Out != 0 {
				t.Errorf("exported to: %+v", e)
			}
			e := v.await2(exotic, test.exotic)
			if e.Label != "exotic" {
				t.Errorf("unknown: %+v", e)
			}
			if now := filesOf(t, exotic); maps.Equal(now, untouched) != (test.exotic != node.MediaDone) {
				t.Errorf("unknown: touched: %v", now)
			}
			v.await2(blank, node.MediaBlank)
			if len(filesOf(t, blank)) != 0 {
				t.Error("the blank stick was written to")
			}
			source.tell(watch.Unmounted, usb(exotic))
			v.await(exotic, node.MediaUnmounted)
		})
	}
}

// await2 is await for media that are attended to at the same time as others:
// it also finds events that were passed over.
func (v *visitor) await2(path string, kind node.MediaKind) node.MediaEvent {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := v.s.Source(ctx, "ssbsync.stick.events", node.EventsOptions{Old: true})
	if err != nil {
		v.t.Fatal(err)
	}
	defer stream.Close(nil)
	for {
		item, err := stream.Recv(ctx)
		if err != nil {
			v.t.Fatalf("%s of %s is not told: %v\n%s", kind, path, err, v.log)
		}
		var e node.MediaEvent
		if err := item.Unmarshal(&e); err != nil {
			v.t.Fatal(err)
		}
		if e.Path == path && e.Kind == kind {
			return e
		}
	}
}

// answer answers a question over the API.
func (v *visitor) answer(o node.AnswerOptions) error {
	_, err := v.s.Async(context.Background(), "ssbsync.stick.answer", o)
	return err
}

// TestAsk answers the question whether to visit a stick.
func TestAsk(t *testing.T) {
	source := newFakeMedia()
	v := openVisitor(t, settings{config: kiosk, source: source, media: node.MediaOptions{Auto: node.AutoAsk}})
	v.post("hello")
	dir, id := marked(t, "stick")
	if err := v.answer(node.AnswerOptions{Stick: &id, Visit: true}); err == nil {
		t.Error("an answer to nobody's question was taken")
	}
	untouched := filesOf(t, dir)
	for _, no := range []node.AnswerOptions{{Path: dir}, {Stick: &id, Always: true}} {
		source.tell(watch.Mounted, usb(dir))
		v.await(dir, node.MediaAsking)
		if err := v.answer(no); err != nil {
			t.Fatal(err)
		}
		v.await(dir, node.MediaUnknown)
		if err := v.answer(node.AnswerOptions{Path: dir, Visit: true}); err == nil {
			t.Error("a second answer was taken")
		}
		source.tell(watch.Unmounted, usb(dir))
		v.await(dir, node.MediaUnmounted)
	}
	if now := filesOf(t, dir); !maps.Equal(now, untouched) {
		t.Errorf("it was touched: %v", now)
	}
	for _, yes := range []node.AnswerOptions{{Path: dir, Visit: true}, {Stick: &id, Visit: true, Always: true}} {
		source.tell(watch.Mounted, usb(dir))
		v.await(dir, node.MediaAsking)
		if err := v.answer(yes); err != nil {
			t.Fatal(err)
		}
		v.await(dir, node.MediaDone)
		source.tell(watch.Unmounted, usb(dir))
		v.await(dir, node.MediaUnmounted)
	}
	source.tell(watch.Mounted, usb(dir)) // always
	v.await(dir, node.MediaDone)
	source.tell(watch.Unmounted, usb(dir))
	if answer, err := v.s.Async(context.Background(), "ssbsync.stick.forget", id); err != nil || string(answer) != "true" {
		t.Errorf("forgetting: %s %v", answer, err)
	}
	source.tell(watch.Mounted, usb(dir))
	v.await(dir, node.MediaAsking)
}

// TestRemovedDuringVisit pulls a stick as the visit begins.
func TestRemovedDuringVisit(t *testing.T) {
	source := newFakeMedia()
	var armed atomic.Bool
	pull := make(chan struct{})
	dir, _ := marked(t, "stick")
	v := openVisitor(t, settings{config: kiosk, source: source, media: node.MediaOptions{Auto: node.AutoAll}, now: func() time.Time {
		// A visit asks for the time when it begins.
		var callers [64]uintptr
		frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers[:])])
		for f, more := frames.Next(); more; f, more = frames.Next() {
			if strings.HasSuffix(f.Function, "stick.(*Peer).Visit") && armed.CompareAndSwap(true, false) {
				pull <- struct{}{}
				<-pull
			}
		}
		return time.Now()
	}})
	v.post("hello")
	before := filesOf(t, dir)
	armed.Store(true)
	source.tell(watch.Mounted, usb(dir))
	<-pull
	source.tell(watch.Unmounted, usb(dir))
	pull <- struct{}{}
	v.await(dir, node.MediaUnmounted)
	if e := v.await(dir, node.MediaDone); e.Result != node.ResultRemoved || e.Safe || e.Out != 0 {
		t.Errorf("visit: %+v", e)
	}
	if now := filesOf(t, dir); !maps.Equal(now, before) {
		t.Errorf("it was written to: %v", now)
	}
	if items := collect(t, v.s, -1, "ssbsync.stick.list", `{}`); len(items) != 0 {
		t.Errorf("still listed: %q", items)
	}
	source.tell(watch.Mounted, usb(dir))
	if e := v.await(dir, node.MediaDone); e.Result != node.ResultDone || e.Out != 1 || !e.Safe {
		t.Errorf("the next visit: %+v", e)
	}
}

// TestStopDuringVisit ends the program as a visit begins: what was done is told
// before the end.
func TestStopDuringVisit(t *testing.T) {
	source := newFakeMedia()
	var armed atomic.Bool
	began := make(chan struct{})
	dir, _ := marked(t, "stick")
	var v *visitor
	v = openVisitor(t, settings{config: kiosk, source: source, media: node.MediaOptions{Auto: node.AutoAll}, now: func() time.Time {
		var callers [64]uintptr
		frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers[:])])
		for f, more := frames.Next(); more; f, more = frames.Next() {
			if strings.HasSuffix(f.Function, "stick.(*Peer).Visit") && armed.CompareAndSwap(true, false) {
				close(began)
				waitFor(func() bool { return v.Stopping() })
			}
		}
		return time.Now()
	}})
	v.post("hello")
	armed.Store(true)
	source.tell(watch.Mounted, usb(dir))
	<-began
	v.stop()
	if e := v.await(dir, node.MediaDone); e.Result != node.ResultInterrupted || !e.Safe {
		t.Errorf("visit: %+v", e)
	}
}

// waitFor waits until a condition holds.
func waitFor(is func() bool) {
	for began := time.Now(); !is() && time.Since(began) < patience; time.Sleep(time.Millisecond) {
	}
}

// TestUnreadable plugs in what cannot be visited.
func TestUnreadable(t *testing.T) {
	source := newFakeMedia()
	v := openVisitor(t, settings{config: kiosk, source: source, media: node.MediaOptions{Auto: node.AutoAll}})
	dir, _ := marked(t, "stick")
	if err := os.WriteFile(filepath.Join(dir, "ssbsync", "stick.json"), []byte("{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	source.tell(watch.Mounted, usb(dir))
	if e := v.await(dir, node.MediaDone); e.Result != node.ResultFailed || !strings.Contains(e.Error, "stick.json") || e.Safe {
		t.Errorf("a bad marker: %+v", e)
	}
	gone := filepath.Join(dir, "gone")
	source.tell(watch.Mounted, usb(gone))
	if e := v.await(gone, node.MediaDone); e.Result != node.ResultFailed || e.Error == "" {
		t.Errorf("gone at once: %+v", e)
	}
}

// TestFolderIsTriedAgain visits a folder that takes no bundles until somebody
// tidies up, of which nobody tells.
func TestFolderIsTriedAgain(t *testing.T) {
	source := newFakeMedia()
	v := openVisitor(t, settings{config: kiosk, source: source})
	v.post("hello")
	dir, _ := marked(t, "folder")
	bundles := filepath.Join(dir, "ssbsync", "bundles")
	if err := errors.Join(os.RemoveAll(bundles), os.WriteFile(bundles, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for i := range 100 { // nor can it be moved out of the way
		if err := os.WriteFile(fmt.Sprintf("%s.odd%d", bundles, i+1), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v.enroll(dir, "")
	source.tell(watch.Mounted, watch.Medium{Path: dir, Folder: true})
	for range 3 {
		if e := v.await(dir, node.MediaDone); e.Result != node.ResultFailed || e.Error == "" || e.Safe {
			t.Fatalf("visit: %+v", e)
		}
	}
	if err := os.Remove(bundles); err != nil {
		t.Fatal(err)
	}
	for e := v.await(dir, node.MediaDone); e.Result != node.ResultDone; e = v.await(dir, node.MediaDone) {
	}
	v.post("news")
	v.awaitMoved(dir, 0, 1)
	v.stop()
	own := 0
	for _, name := range source.ignored {
		if strings.HasPrefix(name, "ssbsync/bundles/") {
			own++
		}
	}
	if own != 2 || source.ignored[0] != dir {
		t.Errorf("ignored, own: %q", source.ignored)
	}
}

// TestOnDone runs a command after a visit: it learns all by its environment.
func TestOnDone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("the command is for /bin/sh")
		return
	}
	source := newFakeMedia()
	out := filepath.Join(t.TempDir(), "out")
	// Were values put into the text of the command, this label would end it.
	dir, id := marked(t, `it's; touch "$(hacked)"`)
	command := fmt.Sprintf(`env | grep ^SSBSYNC_ | sort > '%s.part' && mv '%s.part' '%s'; exit 3`, out, out, out)
	config, err := json.Marshal(map[string]any{"ssbsync": map[string]any{"watch": map[string]any{"onDone": command, "auto": "all"}}})
	if err != nil {
		t.Fatal(err)
	}
	v := openVisitor(t, settings{config: string(config), source: source})
	v.post("hello")
	source.tell(watch.Mounted, usb(dir))
	v.await(dir, node.MediaDone)
	v.stop() // waits for the command
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SSBSYNC_DEVICE=/dev/sdx1", "SSBSYNC_ERROR=", "SSBSYNC_IN=0", `SSBSYNC_LABEL=it's; touch "$(hacked)"`, "SSBSYNC_OUT=1",
		"SSBSYNC_PATH=" + dir, "SSBSYNC_RESULT=done", "SSBSYNC_SAFE=1", "SSBSYNC_SECONDS=0.", "SSBSYNC_STICK=" + id.String()} {
		if !strings.Contains("\n"+string(got), "\n"+want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if !strings.Contains(v.log.String(), "exit status 3") {
		t.Errorf("that the command failed is not logged:\n%s", v.log)
	}
}

// TestMediaConfig reads the setting ssbsync.watch.
func TestMediaConfig(t *testing.T) {
	for text, want := range map[string]node.Watch{
		`true`:                              {},
		`false`:                             {Off: true},
		`{}`:                                {},
		`{"auto":"ask","folders":["/srv"]}`: {Auto: node.AutoAsk, Folders: []string{"/srv"}},
	} {
		var w node.Watch
		if err := json.Unmarshal([]byte(text), &w); err != nil || fmt.Sprint(w) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, %v", text, w, err)
		}
	}
	for _, text := range []string{`{"auto":"some"}`, `{"folders":["srv"]}`, `{"onDonne":"x"}`, `7`, `"all"`} {
		var w node.Watch
		if err := json.Unmarshal([]byte(text), &w); err == nil {
			t.Errorf("%s was read as %+v", text, w)
		}
	}
}

// TestFoldersOnly plugs in a stick where only folders are watched.
func TestFoldersOnly(t *testing.T) {
	source := newFakeMedia()
	v := openVisitor(t, settings{config: `{"ssbsync":{"replicate":"all","watch":{"auto":"all","media":false}}}`, source: source})
	v.post("hello")
	stick, _ := marked(t, "stick")
	folder, _ := marked(t, "folder")
	untouched := filesOf(t, stick)
	source.tell(watch.Mounted, usb(stick))
	source.tell(watch.Mounted, watch.Medium{Path: folder, Folder: true})
	source.tell(watch.Unmounted, usb(stick))
	for kind := node.MediaKind(""); kind != node.MediaDone; {
		select {
		case e := <-v.events:
			if kind = e.Kind; e.Path != folder {
				t.Errorf("the stick was noticed: %+v", e)
			}
		case <-time.After(patience):
			t.Fatalf("the folder is not visited\n%s", v.log)
		}
	}
	if !maps.Equal(filesOf(t, stick), untouched) {
		t.Error("the stick was touched")
	}
}

// TestNamedFolder: who names a folder wants it to be visited, whatever the mode;
// one that was enrolled and is another stick now is left alone, and so are media
// that nobody named.
func TestNamedFolder(t *testing.T) {
	for _, auto := range []node.Auto{node.AutoEnrolled, node.AutoAsk} {
		t.Run(string(auto), func(t *testing.T) {
			source := newFakeMedia()
			named, _ := marked(t, "named")
			linked, _ := marked(t, "linked")
			link := filepath.Join(folder(t), "link")
			if err := os.Symlink(linked, link); err != nil {
				t.Skip(err)
			}
			other, _ := marked(t, "other")
			plugged, _ := marked(t, "plugged")
			v := openVisitor(t, settings{config: kiosk, source: source, media: node.MediaOptions{Auto: auto, Folders: []string{named, link}}})
			v.post("hello")
			left := node.MediaUnknown
			if auto == node.AutoAsk {
				left = node.MediaAsking
			}
			source.tell(watch.Mounted, watch.Medium{Path: named, Folder: true})
			source.tell(watch.Mounted, watch.Medium{Path: linked, Folder: true})
			source.tell(watch.Mounted, watch.Medium{Path: other, Folder: true})
			source.tell(watch.Mounted, usb(plugged))
			for path, kind := range map[string]node.MediaKind{named: node.MediaDone, linked: node.MediaDone, other: left, plugged: left} {
				if e := v.await2(path, kind); kind == node.MediaDone && e.Out != 1 {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// TestEnrollTidies: what a killed test of the capacity left, up to the whole
// stick, does not stay.
func TestEnrollTidies(t *testing.T) {
	v := openVisitor(t, settings{config: kiosk, source: newFakeMedia()})
	dir := folder(t)
	left := filepath.Join(dir, durable.CapacityDir, "capacity-0123456789abcdef-00000.part")
	if err := errors.Join(os.Mkdir(filepath.Dir(left), 0o755), os.WriteFile(left, []byte("left"), 0o600)); err != nil {
		t.Fatal(err)
	}
	v.enroll(dir, "")
	if _, err := os.Stat(filepath.Dir(left)); err == nil {
		t.Error("it is still there")
	}
}

// TestShow looks at a stick over the API.
func TestShow(t *testing.T) {
	source := newFakeMedia()
	v := openVisitor(t, settings{config: kiosk, source: source})
	v.post("hello")
	dir, id := marked(t, "stick")
	show := func(options string) node.StickDetails {
		t.Helper()
		items := collect(t, v.s, -1, "ssbsync.stick.show", options)
		var item node.ShowItem
		if err := json.Unmarshal([]byte(items[len(items)-1]), &item); err != nil || item.Stick == nil {
			t.Fatalf("%q: %v", items, err)
		}
		return *item.Stick
	}
	before := filesOf(t, dir)
	s := show(fmt.Sprintf(`{"path":%q,"dryRun":true}`, dir))
	if s.Stick != id || s.Label != "stick" || s.Enrolled || s.Messages != 0 || s.Visit == nil || s.Visit.Export.Messages != 1 || len(s.Visitors) != 0 {
		t.Errorf("before a visit: %+v", s)
	}
	if now := filesOf(t, dir); !maps.Equal(now, before) {
		t.Errorf("looking changed it: %v", now)
	}
	collect(t, v.s, -1, "ssbsync.sync", fmt.Sprintf(`{"path":%q}`, dir))
	s = show(fmt.Sprintf(`{"path":%q}`, dir))
	if !s.Enrolled || s.Messages != 1 || s.Bundles != 1 || s.Visit != nil || len(s.Visitors) != 1 || !s.Visitors[0].Own || !s.Visitors[0].WantsAll {
		t.Errorf("after a visit: %+v", s)
	}
}

// TestNobodyWatches calls what needs a visitor where there is none.
func TestNobodyWatches(t *testing.T) {
	s := openVisitor(t, settings{config: `{"ssbsync":{"watch":false}}`, source: newFakeMedia()}).s
	if err := refusal(t, s, "ssbsync.stick.events", muxrpc.Source, true); err == nil || !strings.Contains(err.Error(), "nobody watches") {
		t.Errorf("events: %v", err)
	}
	if _, err := s.Async(context.Background(), "ssbsync.stick.answer", node.AnswerOptions{Path: "/"}); err == nil || !strings.Contains(err.Error(), "nobody watches") {
		t.Errorf("an answer: %v", err)
	}
	dir, id := marked(t, "stick")
	collect(t, s, -1, "ssbsync.stick.enroll", fmt.Sprintf(`{"path":%q}`, dir))
	var info node.StickInfo
	for _, item := range collect(t, s, -1, "ssbsync.stick.list", `{}`) {
		if err := json.Unmarshal([]byte(item), &info); err != nil {
			t.Fatal(err)
		}
		if info.Stick == id {
			break
		}
	}
	if info.Stick != id || !info.Enrolled || info.Folder != dir || info.Path != dir {
		t.Errorf("listed: %+v", info)
	}
}
