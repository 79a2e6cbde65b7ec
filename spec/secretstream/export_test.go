package secretstream

import (
	"context"
	"crypto/ecdh"
	"net"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// ClientWith is Client with a given ephemeral key.
func ClientWith(ctx context.Context, conn net.Conn, network [32]byte, pair *keys.Pair, server refs.Feed, ephemeral *ecdh.PrivateKey) (*Conn, error) {
	return clientWith(ctx, conn, network, pair, server, ephemeral)
}

// ServerWith is Server with a given ephemeral key.
func ServerWith(ctx context.Context, conn net.Conn, network [32]byte, pair *keys.Pair, authorize func(refs.Feed) error, ephemeral *ecdh.PrivateKey) (*Conn, error) {
	return serverWith(ctx, conn, network, pair, authorize, ephemeral)
}

// NewConn makes a connection without a handshake.
func NewConn(conn net.Conn, sendKey [32]byte, sendNonce [24]byte, receiveKey [32]byte, receiveNonce [24]byte) *Conn {
	return newConn(conn, boxer{sendKey, sendNonce}, boxer{receiveKey, receiveNonce}, refs.Feed{})
}

// Keys returns the keys and nonces of the next boxes.
func (c *Conn) Keys() (sendKey [32]byte, sendNonce [24]byte, receiveKey [32]byte, receiveNonce [24]byte) {
	return c.send.key, c.send.nonce, c.receive.key, c.receive.nonce
}
