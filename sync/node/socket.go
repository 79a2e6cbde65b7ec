package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store/durable"
)

// The files by which programs find a running server, as with ssb-server.
const (
	socketFile   = "socket"
	manifestFile = "manifest.json"
)

// versionTimeout is how long whoever holds the socket has for saying what it is.
const versionTimeout = 3 * time.Second

// ForeignError says that another program runs in the home folder.
type ForeignError struct {
	Home    string
	Version string // what it answers to "version"
}

// Error implements error.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s is in use by another program, which calls itself %q", e.Home, e.Version)
}

// ErrRunning says that a server of ours runs in the home folder already.
var ErrRunning = errors.New("a server is running already")

// ErrNobody says that no server answers on the socket of a home folder.
var ErrNobody = errors.New("no server answers")

// Dial connects to the server that runs in a home folder, and says what the
// server answers to "version". The error wraps ErrNobody when there is none; it
// is a *ForeignError when what answers is no ssbsync.
func Dial(ctx context.Context, home string) (*muxrpc.Session, error) {
	conn, err := dialSocket(ctx, home)
	if err != nil {
		return nil, err
	}
	session := muxrpc.NewSession(conn, muxrpc.Config{})
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	answer, err := session.Async(ctx, "version")
	var text string
	switch {
	case err != nil:
		text = "something that does not answer"
	case json.Unmarshal(answer, &text) != nil:
		text = string(answer)
	}
	if !strings.HasPrefix(text, Program+"/") {
		session.Close()
		if parent := context.Cause(ctx); errors.Is(parent, context.Canceled) {
			return nil, parent
		}
		return nil, &ForeignError{Home: home, Version: text}
	}
	return session, nil
}

func dialSocket(ctx context.Context, home string) (net.Conn, error) {
	path := filepath.Join(home, socketFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		if err == nil {
			err = errors.New("not a socket")
		}
		return nil, fmt.Errorf("%w: %v", ErrNobody, err)
	}
	short, release, err := shortPath(home)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNobody, err)
	}
	defer release()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", filepath.Join(short, socketFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNobody, err)
	}
	return conn, nil
}

// CheckSocket makes sure that no server runs in a home folder: the error is
// ErrRunning or a *ForeignError if one does.
func CheckSocket(ctx context.Context, home string) error {
	session, err := Dial(ctx, home)
	switch {
	case err == nil:
		session.Close()
		return ErrRunning
	case errors.Is(err, ErrNobody):
		return nil
	}
	return err
}

func (n *Node) socketPath() string { return filepath.Join(n.options.Home, socketFile) }

// checkHome refuses a home folder in which others could put their own socket
// or secret.
func (n *Node) checkHome() error {
	info, err := n.home.Stat(".")
	if err != nil {
		return err
	}
	if checksModes && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("home folder %s can be written by others: chmod go-w %s", n.options.Home, n.options.Home)
	}
	return nil
}

// listenSocket listens on the unix socket of the home folder, over which the
// own user's programs may call everything. It is bound in a folder of its own
// that only the user may enter and renamed into place, so that at no time
// anybody else can connect.
func (n *Node) listenSocket() (net.Listener, error) {
	dir, err := os.MkdirTemp(n.options.Home, ".socket-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	short, release, err := shortPath(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	path := filepath.Join(short, socketFile)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the socket in %s: %w", n.options.Home, err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(path, 0o600)
	if err == nil {
		err = os.Rename(filepath.Join(dir, socketFile), n.socketPath())
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Lstat(n.socketPath())
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &ownSocket{UnixListener: l, path: n.socketPath(), info: info}, nil
}

// ownSocket removes the socket when it is closed, if it is still the same.
type ownSocket struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	once sync.Once
}

// Close implements net.Listener.
func (s *ownSocket) Close() error {
	s.once.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.info) {
			os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}

// Addr returns the address of the socket's final place.
func (s *ownSocket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// serveSocket serves the own user's programs until ctx ends.
func (s *server) serveSocket(ctx context.Context, l net.Listener) error {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.node.options.Log.Warn("accepting on the socket failed", "err", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
			}
			continue
		}
		if err := checkUser(conn); err != nil {
			s.node.options.Log.Warn("a connection on the socket was refused", "err", err)
			conn.Close()
			continue
		}
		group.Go(func() {
			// How a client leaves is its own business.
			_ = s.node.Serve(ctx, conn)
		})
	}
}

// writeManifest writes the list of methods, for programs that look for it.
func (n *Node) writeManifest() error {
	manifest, err := json.MarshalIndent(n.mux.Manifest(), "", "  ")
	if err != nil {
		return err
	}
	_, err = durable.WriteBytes(n.home, manifestFile, append(manifest, '\n'), durable.Options{Replace: true})
	if err != nil {
		return fmt.Errorf("writing %s: %w", manifestFile, err)
	}
	return nil
}
