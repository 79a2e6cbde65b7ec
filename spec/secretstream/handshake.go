package secretstream

import (
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/nacl/secretbox"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Sizes of the messages, in bytes.
const (
	helloLen  = 64 // both challenges: HMAC, ephemeral key
	authLen   = secretbox.Overhead + 64 + 32
	acceptLen = secretbox.Overhead + 64
)

// errNetwork is the most likely reason of a challenge that does not verify.
var errNetwork = errors.New("the peer belongs to another network or does not speak the secret handshake")

// handshake is the state of one side. Its methods are the steps, without I/O.
type handshake struct {
	network   keys.HMAC
	pair      *keys.Pair
	ephemeral *ecdh.PrivateKey
	peer      refs.Feed // the client knows it from the start

	mac, peerMac  [32]byte // HMACs of the ephemeral keys
	peerEphemeral *ecdh.PublicKey
	ab, aB, Ab    []byte // the shared secrets, as far as they are known
	auth          []byte // H: the client's signature and identity
}

// hello returns the challenge, the first message of either side.
func (h *handshake) hello() []byte {
	public := h.ephemeral.PublicKey().Bytes()
	h.mac = h.network.Sum(public)
	return append(h.mac[:], public...)
}

// readHello takes the peer's challenge. It computes no secret yet, so an
// ephemeral key that allows for none, such as the zero key, passes here and
// fails in the next step.
func (h *handshake) readHello(msg []byte) error {
	want := h.network.Sum(msg[32:])
	if subtle.ConstantTimeCompare(msg[:32], want[:]) != 1 {
		return errNetwork
	}
	h.peerMac = want
	var err error
	h.peerEphemeral, err = ecdh.X25519().NewPublicKey(msg[32:])
	return err
}

// clientAuth returns the client's proof, after the server's challenge.
func (h *handshake) clientAuth() ([]byte, error) {
	server, err := publicKey(h.peer)
	if err != nil {
		return nil, err
	}
	if h.ab, err = shared(h.ephemeral, h.peerEphemeral); err != nil {
		return nil, err
	}
	if h.aB, err = shared(h.ephemeral, server); err != nil {
		return nil, err
	}
	sig := h.pair.Sign(h.clientSigned(h.peer))
	feed := h.pair.Feed()
	h.auth = append(sig[:], feed[:]...)
	return seal(h.auth, h.network[:], h.ab, h.aB), nil
}

// readAuth checks the client's proof and learns who it is.
func (h *handshake) readAuth(msg []byte) (err error) {
	if h.ab, err = shared(h.ephemeral, h.peerEphemeral); err != nil {
		return err
	}
	identity, err := privateKey(h.pair)
	if err != nil {
		return err
	}
	if h.aB, err = shared(identity, h.peerEphemeral); err != nil {
		return err
	}
	var ok bool
	if h.auth, ok = open(msg, h.network[:], h.ab, h.aB); !ok {
		return errors.New("the proof does not open: the client dialled another key")
	}
	client := refs.Feed(h.auth[64:])
	if !keys.Verify(client, h.clientSigned(h.pair.Feed()), (*[64]byte)(h.auth)) {
		return fmt.Errorf("the client's signature does not verify as that of %s", client)
	}
	public, err := publicKey(client)
	if err != nil {
		return err
	}
	if h.Ab, err = shared(h.ephemeral, public); err != nil {
		return err
	}
	h.peer = client
	return nil
}

// serverAccept returns the server's proof.
func (h *handshake) serverAccept() []byte {
	sig := h.pair.Sign(h.serverSigned())
	return seal(sig[:], h.network[:], h.ab, h.aB, h.Ab)
}

// readAccept checks the server's proof.
func (h *handshake) readAccept(msg []byte) error {
	identity, err := privateKey(h.pair)
	if err != nil {
		return err
	}
	if h.Ab, err = shared(identity, h.peerEphemeral); err != nil {
		return err
	}
	sig, ok := open(msg, h.network[:], h.ab, h.aB, h.Ab)
	if !ok {
		return errors.New("the proof does not open")
	}
	if !keys.Verify(h.peer, h.serverSigned(), (*[64]byte)(sig)) {
		return fmt.Errorf("the server's signature does not verify as that of %s", h.peer)
	}
	return nil
}

// clientSigned is what the client signs for a server.
func (h *handshake) clientSigned(server refs.Feed) []byte {
	sum := sha256.Sum256(h.ab)
	return slices.Concat(h.network[:], server[:], sum[:])
}

// serverSigned is what the server signs.
func (h *handshake) serverSigned() []byte {
	sum := sha256.Sum256(h.ab)
	return slices.Concat(h.network[:], h.auth, sum[:])
}

// boxes returns the outcome: the boxes to send with and to receive with.
func (h *handshake) boxes() (send, receive boxer) {
	secret := hash(h.network[:], h.ab, h.aB, h.Ab)
	secret = hash(secret[:])
	own := h.pair.Feed()
	send = boxer{key: hash(secret[:], h.peer[:]), nonce: [24]byte(h.peerMac[:24])}
	receive = boxer{key: hash(secret[:], own[:]), nonce: [24]byte(h.mac[:24])}
	return send, receive
}

// hash is the SHA-256 of all parts one after the other.
func hash(parts ...[]byte) [32]byte { return sha256.Sum256(slices.Concat(parts...)) }

// seal boxes msg under the hash of the parts. The nonce may be zero because
// the key is used once.
func seal(msg []byte, parts ...[]byte) []byte {
	key := hash(parts...)
	return secretbox.Seal(nil, msg, new([24]byte), &key)
}

func open(box []byte, parts ...[]byte) ([]byte, bool) {
	key := hash(parts...)
	return secretbox.Open(nil, box, new([24]byte), &key)
}

// shared is X25519. It fails when the result is zero: the public key is then
// one of the few with which every secret is known to everybody.
func shared(private *ecdh.PrivateKey, public *ecdh.PublicKey) ([]byte, error) {
	secret, err := private.ECDH(public)
	if err != nil {
		return nil, errors.New("no secret can be shared with the peer's key")
	}
	return secret, nil
}

// publicKey converts an identity.
func publicKey(feed refs.Feed) (*ecdh.PublicKey, error) {
	curve, err := keys.Curve25519(feed)
	if err != nil {
		return nil, err
	}
	return ecdh.X25519().NewPublicKey(curve[:])
}

func privateKey(pair *keys.Pair) (*ecdh.PrivateKey, error) {
	curve := pair.Curve25519()
	return ecdh.X25519().NewPrivateKey(curve[:])
}
