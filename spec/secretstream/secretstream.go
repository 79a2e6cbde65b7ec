package secretstream

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Client performs the client's side of the handshake over conn, with the server
// whose identity is given, in the network of the given key, and returns the
// encrypted connection. It ends with an error when ctx does. On failure conn is
// closed.
//
// A server that hangs up tells nothing: before its challenge it is busy,
// belongs to another network or is no SSB peer; after ours it has another
// identity, or does not want us.
func Client(ctx context.Context, conn net.Conn, network [32]byte, pair *keys.Pair, server refs.Feed) (*Conn, error) {
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return clientWith(ctx, conn, network, pair, server, ephemeral)
}

// Server performs the server's side of the handshake over conn and returns the
// encrypted connection; its Remote is the client. When the client has proven
// who it is, authorize is asked whether it is welcome: nil is yes, as is a nil
// function. It ends with an error when ctx does; a ctx without a deadline lets
// a stranger hold the connection for ever. On failure conn is closed, without a
// word to the client.
func Server(ctx context.Context, conn net.Conn, network [32]byte, pair *keys.Pair, authorize func(client refs.Feed) error) (*Conn, error) {
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return serverWith(ctx, conn, network, pair, authorize, ephemeral)
}

func clientWith(ctx context.Context, conn net.Conn, network [32]byte, pair *keys.Pair, server refs.Feed, ephemeral *ecdh.PrivateKey) (*Conn, error) {
	h := &handshake{network: network, pair: pair, ephemeral: ephemeral, peer: server}
	return perform(ctx, conn, h, h.client)
}

func serverWith(ctx context.Context, conn net.Conn, network [32]byte, pair *keys.Pair, authorize func(refs.Feed) error, ephemeral *ecdh.PrivateKey) (*Conn, error) {
	h := &handshake{network: network, pair: pair, ephemeral: ephemeral}
	return perform(ctx, conn, h, func(conn net.Conn) error { return h.server(conn, authorize) })
}

// perform runs one side of the handshake until ctx ends.
func perform(ctx context.Context, conn net.Conn, h *handshake, side func(net.Conn) error) (*Conn, error) {
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(past) })
	err := side(conn)
	if !stop() { // conn has, or is about to get, the deadline
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("secret handshake: %w", err)
	}
	send, receive := h.boxes()
	return newConn(conn, send, receive, h.peer), nil
}

// client exchanges the messages of the client's side.
func (h *handshake) client(conn net.Conn) error {
	if _, err := conn.Write(h.hello()); err != nil {
		return fmt.Errorf("sending our challenge: %w", err)
	}
	var challenge [helloLen]byte
	if _, err := io.ReadFull(conn, challenge[:]); err != nil {
		return fmt.Errorf("waiting for the server's challenge: %w", err)
	}
	if err := h.readHello(challenge[:]); err != nil {
		return fmt.Errorf("the server's challenge: %w", err)
	}
	auth, err := h.clientAuth()
	if err != nil {
		return fmt.Errorf("making our proof: %w", err)
	}
	if _, err := conn.Write(auth); err != nil {
		return fmt.Errorf("sending our proof: %w", err)
	}
	var accept [acceptLen]byte
	if _, err := io.ReadFull(conn, accept[:]); err != nil {
		return fmt.Errorf("waiting for the server's proof: %w", err)
	}
	if err := h.readAccept(accept[:]); err != nil {
		return fmt.Errorf("the server's proof: %w", err)
	}
	return nil
}

// server exchanges the messages of the server's side.
func (h *handshake) server(conn net.Conn, authorize func(refs.Feed) error) error {
	var challenge [helloLen]byte
	if _, err := io.ReadFull(conn, challenge[:]); err != nil {
		return fmt.Errorf("waiting for the client's challenge: %w", err)
	}
	if err := h.readHello(challenge[:]); err != nil {
		return fmt.Errorf("the client's challenge: %w", err)
	}
	if _, err := conn.Write(h.hello()); err != nil {
		return fmt.Errorf("sending our challenge: %w", err)
	}
	var auth [authLen]byte
	if _, err := io.ReadFull(conn, auth[:]); err != nil {
		return fmt.Errorf("waiting for the client's proof: %w", err)
	}
	if err := h.readAuth(auth[:]); err != nil {
		return fmt.Errorf("the client's proof: %w", err)
	}
	if authorize != nil {
		if err := authorize(h.peer); err != nil {
			return fmt.Errorf("client %s is not welcome: %w", h.peer, err)
		}
	}
	if _, err := conn.Write(h.serverAccept()); err != nil {
		return fmt.Errorf("sending our proof: %w", err)
	}
	return nil
}
