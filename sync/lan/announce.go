package lan

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
)

// announce says where we are, on every interface there is at the moment.
func announce(ctx context.Context, cfg Config) {
	log := onceLogger{log: cfg.Log}
	ticker := time.NewTicker(cfg.Interval)
	defer ticker.Stop()
	for {
		if err := announceOnce(ctx, cfg); err == nil {
			log.ok()
		} else if ctx.Err() == nil {
			log.fail("lan: cannot announce", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// announceOnce announces on all interfaces and returns the first error.
func announceOnce(ctx context.Context, cfg Config) error {
	ifaces, err := cfg.Medium.Interfaces()
	if err != nil {
		return err
	}
	all := cfg.Addresses()
	for _, iface := range ifaces {
		text := textFor(all, iface.Addr)
		if len(text) == 0 {
			continue
		}
		if e := cfg.Medium.Broadcast(ctx, iface, cfg.Port, text); err == nil {
			err = e
		}
		if e := cfg.Medium.Broadcast(ctx, iface, cfg.SealedPort, seal(text, cfg.Keys, &cfg.Network)); err == nil {
			err = e
		}
	}
	return err
}

// textFor returns the addresses to announce on the interface with that IP
// address, nothing when there are none.
func textFor(all []multiserver.Address, ip netip.Addr) []byte {
	var local multiserver.Addresses
	for _, addr := range all {
		host, err := hostOf(addr)
		switch {
		case err != nil || len(local) == maxAddresses:
		case host.IsUnspecified():
			local = append(local, withHost(addr, ip))
		case host == ip:
			local = append(local, addr)
		}
	}
	text := []byte(local.String())
	if !isPlainJSON(text) || len(jsonHead)+len(text)+len(jsonTail)+16+signatureLen > maxPacket {
		return nil
	}
	return text
}

// withHost returns an address with another host.
func withHost(addr multiserver.Address, ip netip.Addr) multiserver.Address {
	end, err := addr.Endpoint()
	if err != nil {
		return addr
	}
	host, port := ip.String(), strconv.Itoa(int(end.Port))
	if addr.Transport() == "ws" {
		host, port = "//"+host, port+end.Path
	}
	out := append(multiserver.Address{}, addr...)
	out[0] = multiserver.Layer{Name: addr[0].Name, Data: append(strings.Split(host, ":"), port)}
	return out
}

// onceLogger logs a failure when it begins, and says when it is over.
type onceLogger struct {
	log    *slog.Logger
	failed string
}

func (l *onceLogger) fail(what string, err error, args ...any) {
	if text := err.Error(); text != l.failed {
		l.failed = text
		l.log.Warn(what, append(args, "err", err)...)
	}
}

func (l *onceLogger) ok() {
	if l.failed != "" {
		l.failed = ""
		l.log.Info("lan: works again")
	}
}
