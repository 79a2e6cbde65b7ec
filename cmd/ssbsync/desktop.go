package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/watch/desktop"
)

// desktopFlags are the flags of everything that visits sticks by itself and may
// have a desktop, or UDisks2, beside it.
func desktopFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "no-notify", Usage: "show no notifications on the desktop"},
		&cli.BoolFlag{Name: "mount", Usage: "have UDisks2 mount removable media that nobody mounts"},
		&cli.BoolFlag{Name: "power-off", Usage: "have UDisks2 unmount and power off a stick when its visit is done"},
	}
}

// desktopOptions say what of the desktop is used.
type desktopOptions struct {
	notify, mount, powerOff bool

	asked bool // a flag wants what is up to a server, if one runs
}

// desktopSettings reads the flags and, where they say nothing, the config.
func (p *program) desktopSettings(c *cli.Context) (o desktopOptions, err error) {
	home, err := p.home()
	if err != nil {
		return o, err
	}
	w, err := node.WatchConfig(home)
	if err != nil {
		return o, err
	}
	return desktopOptions{
		notify:   !c.Bool("no-notify") && (w.Notify == nil || *w.Notify),
		mount:    c.Bool("mount") || w.Mount,
		powerOff: c.Bool("power-off") || w.PowerOff,
		asked:    c.Bool("mount") || c.Bool("power-off"),
	}, nil
}

// notifier is what shows notifications.
type notifier interface {
	Show(ctx context.Context, key string, m desktop.Message) error
	Forget(key string)
	Close()
}

// desktopHook tells the desktop of visits, and has UDisks2 mount and power off.
type desktopHook struct {
	log      *slog.Logger
	notifier notifier                                           // nil = none, or none that answers
	powerOff func(ctx context.Context, device string) error     // nil = not wanted
	mountAll func(context.Context, func(desktop.Mounted)) error // nil = not wanted

	running sync.WaitGroup
}

// newDesktopHook returns the hook for what is wanted.
func newDesktopHook(o desktopOptions, log *slog.Logger) *desktopHook {
	h := &desktopHook{log: log}
	if o.notify {
		h.notifier = desktop.NewNotifier(desktop.SessionBus())
	}
	if o.powerOff {
		h.powerOff = func(ctx context.Context, device string) error {
			return withDisks(ctx, func(d *desktop.Disks) error { return d.PowerOff(ctx, device) })
		}
	}
	if o.mount {
		h.mountAll = func(ctx context.Context, tell func(desktop.Mounted)) error {
			return withDisks(ctx, func(d *desktop.Disks) error { return d.MountAll(ctx, tell) })
		}
	}
	return h
}

// withDisks runs do with a connection to UDisks2.
func withDisks(ctx context.Context, do func(*desktop.Disks) error) error {
	d, err := desktop.OpenDisks(ctx, desktop.SystemBus())
	if err != nil {
		return fmt.Errorf("asking UDisks2: %w", err)
	}
	defer d.Close()
	return do(d)
}

// start begins to mount media. The function that it returns, to be called when
// no more events come, ends that and waits for what is under way.
func (h *desktopHook) start(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	if h.mountAll != nil {
		h.running.Go(func() {
			if err := h.mountAll(ctx, h.mounted); err != nil {
				h.log.Error("media are not mounted by themselves", "err", err)
			}
		})
	}
	return func() {
		stop()
		h.running.Wait()
		if h.notifier != nil {
			h.notifier.Close()
		}
	}
}

// mounted logs what became of a device.
func (h *desktopHook) mounted(m desktop.Mounted) {
	if m.Err != nil {
		h.log.Warn("a medium was not mounted", "device", m.Device, "err", m.Err)
		return
	}
	h.log.Info("mounted", "device", m.Device, "label", m.Label, "path", m.Path)
}

// handle takes one event. The events come one after the other.
func (h *desktopHook) handle(e node.MediaEvent) {
	h.notify(e)
	if h.powerOff == nil || e.Kind != node.MediaDone || !e.Safe || !e.Removable || e.Folder || e.Device == "" {
		return
	}
	h.running.Go(func() {
		// What was begun is ended, also when the server is told to end.
		if err := h.powerOff(context.Background(), e.Device); err != nil {
			h.log.Warn("a stick was not powered off", "device", e.Device, "err", err)
			return
		}
		h.log.Info("powered off", "device", e.Device, "label", e.Label)
	})
}

// notify shows an event, if there is something to show and somebody to show it.
func (h *desktopHook) notify(e node.MediaEvent) {
	if h.notifier == nil || e.Folder { // a folder is visited whenever it changes
		return
	}
	if e.Kind == node.MediaUnmounted {
		h.notifier.Forget(e.Path)
		return
	}
	m := notificationOf(e)
	if m.Summary == "" {
		return
	}
	if err := h.notifier.Show(context.Background(), e.Path, m); err != nil {
		level := slog.LevelDebug
		if !errors.Is(err, desktop.ErrNoBus) {
			level = slog.LevelInfo
		}
		h.log.Log(context.Background(), level, "no notifications: nobody on the bus shows them", "err", err)
		h.notifier.Close()
		h.notifier = nil
	}
}

// notificationOf says an event in a notification; without a summary there is
// nothing to say. What comes from the stick stands in the body.
func notificationOf(e node.MediaEvent) (m desktop.Message) {
	switch e.Kind {
	case node.MediaUnknown, node.MediaAsking:
		m = desktop.Message{Summary: "a stick that this node does not know", Body: "it is left alone; to use it: ssbsync enroll " + pathText(e.Path)}
	case node.MediaVisiting:
		m = desktop.Message{Summary: "syncing: do not remove the stick yet", Body: "begins"}
	case node.MediaProgress:
		m = desktop.Message{Summary: "syncing: do not remove the stick yet", Body: progressText(e), Update: true}
	case node.MediaDone:
		m = desktop.Message{Summary: "stick visited: see before you remove it", Body: doneText(e), Urgent: e.Result == node.ResultFailed}
		switch {
		case e.Safe:
			m.Summary = "stick visited: safe to remove"
		case e.Result == node.ResultRemoved:
			m.Summary = "the stick was removed too early"
		}
	default:
		return m
	}
	m.Body = e.Label + ": " + m.Body
	return m
}

// progressText says how far a visit is.
func progressText(e node.MediaEvent) string {
	if e.Progress == nil {
		return ""
	}
	text := phaseText(e.Progress.Phase)
	if e.Progress.TotalBytes > 0 {
		text += fmt.Sprintf(" %d %%", min(100, e.Progress.Bytes*100/e.Progress.TotalBytes))
	}
	return text
}
