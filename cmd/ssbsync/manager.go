package main

import (
	"log/slog"
	"net"
	"os"
	"strings"
)

// notifyManager tells the service manager how it stands with this process, by
// the protocol of sd_notify(3): one datagram to the socket that NOTIFY_SOCKET
// names. Without one it does nothing.
func notifyManager(state string, log *slog.Logger) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if abstract, ok := strings.CutPrefix(name, "@"); ok {
		name = "\x00" + abstract
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(state))
		conn.Close()
	}
	if err != nil {
		log.Warn("telling the service manager failed", "err", err)
	}
}
