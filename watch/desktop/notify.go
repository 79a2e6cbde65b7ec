package desktop

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

const (
	notifyName = "org.freedesktop.Notifications"
	notifyPath = "/org/freedesktop/Notifications"
)

// Message is what a notification says. What strangers wrote belongs into Body:
// some desktops take markup in the summary as well.
type Message struct {
	Summary string
	Body    string
	Urgent  bool

	// Update says that it only tells how far something is: it does not show
	// again what the user has closed.
	Update bool
}

// Notifier shows notifications: one for each key, which it changes from then
// on. Its methods may be called from many goroutines.
type Notifier struct {
	address string

	mu     sync.Mutex // guards what follows, and is held during calls
	bus    *dbus.Conn // nil = not connected
	closed chan *dbus.Signal
	markup bool // the body is read as markup
	shown  map[string]*notification
}

// notification is what became of one.
type notification struct {
	id     uint32
	closed bool // by the user, or by itself
}

// NewNotifier returns a notifier on the bus at an address, to which it connects
// when there is something to show.
func NewNotifier(address string) *Notifier {
	return &Notifier{address: address, shown: make(map[string]*notification)}
}

// Show shows a message under a key. It takes at most 5 seconds.
func (n *Notifier) Show(ctx context.Context, key string, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.connect(ctx); err != nil {
		return err
	}
	n.noteClosed()
	old := n.shown[key]
	var id uint32
	switch {
	case old == nil:
	case !old.closed:
		id = old.id
	case m.Update:
		return nil
	}
	if err := call(ctx, n.bus.Object(notifyName, notifyPath), notifyName+".Notify", n.arguments(id, m), &id); err != nil {
		return err
	}
	n.shown[key] = &notification{id: id}
	return nil
}

// arguments are those of the method Notify; id is that of the notification
// which it changes, or 0.
func (n *Notifier) arguments(id uint32, m Message) []any {
	body, urgency := m.Body, byte(1)
	if n.markup {
		body = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(body)
	}
	if m.Urgent {
		urgency = 2
	}
	hints := map[string]dbus.Variant{
		"urgency":       dbus.MakeVariant(urgency),
		"category":      dbus.MakeVariant("device"),
		"desktop-entry": dbus.MakeVariant("ssbsync"),
	}
	return []any{"ssbsync", id, "drive-removable-media", m.Summary, body, []string{}, hints, int32(-1)}
}

// connect connects, unless it is, and asks what the desktop can do.
func (n *Notifier) connect(ctx context.Context) error {
	if n.bus != nil && n.bus.Connected() {
		return nil
	}
	n.disconnect()
	bus, err := connect(n.address)
	if err != nil {
		return err
	}
	var can []string
	if err := call(ctx, bus.Object(notifyName, notifyPath), notifyName+".GetCapabilities", nil, &can); err != nil {
		bus.Close()
		return err
	}
	n.closed = make(chan *dbus.Signal, 64)
	bus.Signal(n.closed)
	err = bus.AddMatchSignalContext(ctx, dbus.WithMatchInterface(notifyName), dbus.WithMatchMember("NotificationClosed"))
	if err != nil {
		bus.Close()
		return err
	}
	n.bus, n.markup = bus, slices.Contains(can, "body-markup")
	return nil
}

// disconnect ends the connection; what was shown is not ours any more.
func (n *Notifier) disconnect() {
	if n.bus != nil {
		n.bus.Close()
	}
	n.bus = nil
	clear(n.shown)
}

// noteClosed takes note of the notifications that were closed.
func (n *Notifier) noteClosed() {
	for {
		select {
		case s, ok := <-n.closed:
			if !ok {
				return
			}
			if len(s.Body) == 0 || s.Name != notifyName+".NotificationClosed" {
				continue
			}
			id, _ := s.Body[0].(uint32)
			for _, old := range n.shown {
				old.closed = old.closed || old.id == id
			}
		default:
			return
		}
	}
}

// Forget leaves the notification of a key as it is: the next message gets
// another one.
func (n *Notifier) Forget(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.shown, key)
}

// Close ends the connection. What is shown stays.
func (n *Notifier) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.disconnect()
}
