package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/watch/desktop"
)

// screen notes what would be shown.
type screen struct {
	log    []string
	broken error
}

func (s *screen) Show(_ context.Context, key string, m desktop.Message) error {
	if s.broken != nil {
		return s.broken
	}
	line := fmt.Sprintf("%s: %s | %s", key, m.Summary, m.Body)
	if m.Update {
		line += " (update)"
	}
	if m.Urgent {
		line += " (urgent)"
	}
	s.log = append(s.log, line)
	return nil
}

func (s *screen) Forget(key string) { s.log = append(s.log, key+": forgotten") }
func (s *screen) Close()            { s.log = append(s.log, "closed") }

// TestDesktopHook shows visits of sticks, and powers off what is safe.
func TestDesktopHook(t *testing.T) {
	s, off := new(screen), make(chan string, 9)
	var log bytes.Buffer
	h := &desktopHook{
		log: slog.New(slog.NewTextHandler(&log, nil)), notifier: s,
		powerOff: func(_ context.Context, device string) error { off <- device; return nil },
		mountAll: func(_ context.Context, tell func(desktop.Mounted)) error {
			tell(desktop.Mounted{Device: "/dev/sdb1", Label: "STICK", Path: "/media/s"})
			tell(desktop.Mounted{Device: "/dev/sdc1", Err: errors.New("not allowed")})
			return errors.New("gone")
		},
	}
	end := h.start(t.Context())
	medium := node.MediaEvent{Path: "/media/s", Label: "STICK", Device: "/dev/sdb1", Removable: true}
	with := func(kind node.MediaKind, change func(*node.MediaEvent)) {
		e := medium
		e.Kind = kind
		change(&e)
		h.handle(e)
	}
	as := func(*node.MediaEvent) {}
	with(node.MediaMounted, as)
	with(node.MediaVisiting, as)
	with(node.MediaProgress, func(e *node.MediaEvent) {
		e.Progress = &stick.Progress{Phase: stick.Writing, Bytes: 3, TotalBytes: 4}
	})
	with(node.MediaDone, func(e *node.MediaEvent) { e.Result, e.Safe, e.In, e.Out = node.ResultDone, true, 120, 45 })
	with(node.MediaDone, func(e *node.MediaEvent) { e.Result, e.Error = node.ResultFailed, "input/output error" })
	with(node.MediaDone, func(e *node.MediaEvent) { e.Result, e.In = node.ResultRemoved, 3 })
	with(node.MediaUnmounted, as)
	with(node.MediaUnknown, as)
	with(node.MediaDone, func(e *node.MediaEvent) { e.Result, e.Safe, e.Folder, e.Removable = node.ResultDone, true, true, false })
	with(node.MediaBlank, as)
	end()
	want := []string{
		"/media/s: syncing: do not remove the stick yet | STICK: begins",
		"/media/s: syncing: do not remove the stick yet | STICK: writing 75 % (update)",
		"/media/s: stick visited: safe to remove | STICK: visited: 120 messages in, 45 out: safe to remove",
		"/media/s: stick visited: see before you remove it | STICK: failed: input/output error: nothing new (urgent)",
		"/media/s: the stick was removed too early | STICK: removed during the visit: 3 messages in, 0 out, which are kept: plug it in again to go on",
		"/media/s: forgotten",
		"/media/s: a stick that this node does not know | STICK: it is left alone; to use it: ssbsync enroll /media/s",
		"closed",
	}
	if !slices.Equal(s.log, want) {
		t.Errorf("shown:\n%s", strings.Join(s.log, "\n"))
	}
	if close(off); len(off) != 1 || <-off != "/dev/sdb1" {
		t.Error("not that one stick was powered off")
	}
	for _, line := range []string{"mounted device=/dev/sdb1 label=STICK", "not allowed", "not mounted by themselves", "powered off"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log lacks %q:\n%s", line, log.String())
		}
	}
}

// TestDesktopWithout is a machine without a desktop: that is said once, to who
// looks for it.
func TestDesktopWithout(t *testing.T) {
	for err, level := range map[error]string{desktop.ErrNoBus: "DEBUG", errors.New("timeout"): "INFO"} {
		var log bytes.Buffer
		h := &desktopHook{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), notifier: &screen{broken: err}}
		for range 3 {
			h.handle(node.MediaEvent{Kind: node.MediaVisiting})
		}
		h.start(t.Context())()
		if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "level="+level) {
			t.Errorf("%v: the log is %q", err, log.String())
		}
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "nowhere"))
	var log bytes.Buffer
	h := newDesktopHook(desktopOptions{notify: true, mount: true, powerOff: true}, slog.New(slog.NewTextHandler(&log, nil)))
	end := h.start(t.Context())
	h.handle(node.MediaEvent{Kind: node.MediaDone, Safe: true, Removable: true, Device: "/dev/sdb1"})
	end()
	if n := strings.Count(log.String(), "UDisks2"); n != 2 || strings.Contains(log.String(), "notifications") {
		t.Errorf("the log is %q", log.String())
	}
}

// TestDesktopSettings reads the config where no flag says otherwise.
func TestDesktopSettings(t *testing.T) {
	for config, want := range map[string]desktopOptions{
		`{}`: {notify: true},
		`{"ssbsync":{"watch":{"notify":false,"mount":true,"powerOff":true}}}`: {mount: true, powerOff: true},
		`{"ssbsync":{"watch":false}}`:                                         {notify: true},
	} {
		home := t.TempDir()
		if err := os.WriteFile(filepath.Join(home, "config"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := node.WatchConfig(home)
		got := desktopOptions{notify: w.Notify == nil || *w.Notify, mount: w.Mount, powerOff: w.PowerOff}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", config, got, err)
		}
	}
	if _, err := node.WatchConfig(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
}
