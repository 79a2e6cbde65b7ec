package lan

import (
	"context"
	"net/netip"
	"time"
)

// Medium is a network that packets are broadcast on.
type Medium interface {
	// Interfaces lists the interfaces to announce on as they are now.
	Interfaces() ([]Interface, error)
	// Broadcast sends a packet to everybody on the network of an interface.
	Broadcast(ctx context.Context, on Interface, port uint16, packet []byte) error
	// Listen hears what is sent to a port, beside other programs that do.
	Listen(ctx context.Context, port uint16) (Listener, error)
}

// Interface is an IPv4 address of this host and the network around it.
type Interface struct {
	Addr      netip.Addr // ours
	Broadcast netip.Addr // everybody's
}

// Listener hears packets. Close ends a Read that is under way.
type Listener interface {
	Read(packet []byte) (n int, from netip.Addr, err error)
	Close() error
}

// retryEvery is how long a port that cannot be listened on is left alone.
const retryEvery = 30 * time.Second

// maxDatagram is the most that UDP carries: a shorter buffer would turn a long
// packet into an error on some systems.
const maxDatagram = 1 << 16

// listen hands over what arrives at a port until ctx ends.
func listen(ctx context.Context, cfg Config, port uint16, hear func([]byte, netip.Addr)) {
	log := onceLogger{log: cfg.Log}
	for ctx.Err() == nil {
		l, err := cfg.Medium.Listen(ctx, port)
		if err == nil {
			log.ok()
			stop := context.AfterFunc(ctx, func() { l.Close() })
			err = readAll(l, hear)
			stop()
			l.Close()
		}
		if ctx.Err() == nil {
			log.fail("lan: cannot listen", err, "port", port)
			sleep(ctx, retryEvery)
		}
	}
}

// readAll hands over packets until reading fails.
func readAll(l Listener, hear func([]byte, netip.Addr)) error {
	packet := make([]byte, maxDatagram)
	for {
		n, from, err := l.Read(packet)
		if err != nil {
			return err
		}
		hear(packet[:n], from.Unmap())
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
