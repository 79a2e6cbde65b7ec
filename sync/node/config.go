package node

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// mainNetworkCap is the access key of the main network (caps.shs).
const mainNetworkCap = "1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s="

// maxConfig bounds the size of the config file, in bytes.
const maxConfig = 1 << 20

// defaultHops is how far along follows we replicate unless friends.hops says
// otherwise: friends and their friends.
const defaultHops = 2

// Config is what the file "config" in the home folder says, in the shape of
// npm ssb-config, with our own settings under "ssbsync". Fields that we do
// not know are left to other programs.
type Config struct {
	Caps struct {
		SHS  string `json:"shs"`  // access key of the network, base64 of 32 bytes
		Sign string `json:"sign"` // hmac key of a closed network, base64 of 32 bytes, or empty
	} `json:"caps"`
	Friends struct {
		Hops *wholeNumber `json:"hops"` // nil = 2
	} `json:"friends"`
	Connections struct {
		Incoming map[string][]Incoming `json:"incoming"` // by transport: net, ws, unix; nil = net and unix
		Outgoing map[string]outgoing   `json:"outgoing"` // what may be dialled, by transport; nil = everything
	} `json:"connections"`
	Host         string       `json:"host"`         // where to listen, beyond this machine, if connections.incoming does not say; "" = everywhere
	Port         *wholeNumber `json:"port"`         // nil = 8008
	External     words        `json:"external"`     // the host names by which others reach us
	Local        *bool        `json:"local"`        // find and be found on the LAN; nil = yes
	AllowPrivate bool         `json:"allowPrivate"` // invites and pub messages may name private addresses
	Master       feedList     `json:"master"`       // identities that may call everything
	Proxy        string       `json:"proxy"`        // host:port of a SOCKS5 proxy for onion addresses
	Logging      struct {
		Level string `json:"level"`
	} `json:"logging"`
	Blobs   BlobConfig `json:"blobs"`
	Ssbsync struct {
		Replicate Replicate  `json:"replicate"`
		Blobs     BlobPolicy `json:"blobs"`
		HTTP      HTTPConfig `json:"http"`
		Watch     Watch      `json:"watch"`
		StickSize int64      `json:"stickSize"` // bytes that bundles may take on a stick in all; 0 = as many as there is room for
	} `json:"ssbsync"`

	badNetwork error // what is wrong with what only the network needs
}

// Incoming is one address to listen on.
type Incoming struct {
	Host      string       `json:"host"`
	Port      *wholeNumber `json:"port"`
	External  words        `json:"external"`  // the host names by which others reach it
	Scope     Scopes       `json:"scope"`     // who reaches it: device, local, public
	Transform string       `json:"transform"` // shs, or noauth for unix
	Path      string       `json:"path"`      // of unix; "" = socket in the home folder
}

// Scopes are a list that may be written as one word.
type Scopes []string

// UnmarshalJSON reads a word or a list of words. As in multiserver private is
// another word for local.
func (s *Scopes) UnmarshalJSON(raw []byte) error {
	if err := (*words)(s).UnmarshalJSON(raw); err != nil {
		return err
	}
	for i, word := range *s {
		if word == "private" {
			(*s)[i] = "local"
		}
	}
	return nil
}

// feedList is a list of feeds that may be written as one.
type feedList []refs.Feed

// UnmarshalJSON reads a feed id or a list of them.
func (l *feedList) UnmarshalJSON(raw []byte) error {
	var one refs.Feed
	if len(raw) > 0 && raw[0] == '"' {
		err := json.Unmarshal(raw, &one)
		*l = feedList{one}
		return err
	}
	return json.Unmarshal(raw, (*[]refs.Feed)(l))
}

// Replicate is the setting ssbsync.replicate: "all", or a list of feeds that
// are wanted besides those within hops.
type Replicate struct {
	All   bool
	Feeds []refs.Feed
}

// UnmarshalJSON reads "all" or a list of feed ids.
func (r *Replicate) UnmarshalJSON(raw []byte) error {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		if word != "all" {
			return fmt.Errorf("ssbsync.replicate: %q is neither \"all\" nor a list of feeds", word)
		}
		r.All = true
		return nil
	}
	if err := json.Unmarshal(raw, &r.Feeds); err != nil {
		return fmt.Errorf("ssbsync.replicate: %v", err)
	}
	return nil
}

// Hops returns friends.hops or its default.
func (c *Config) Hops() int {
	return c.Friends.Hops.or(defaultHops)
}

// SHS returns the access key of the network.
func (c *Config) SHS() ([32]byte, error) {
	text := c.Caps.SHS
	if text == "" {
		text = mainNetworkCap
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return [32]byte{}, errors.New("caps.shs is not the base64 of 32 bytes")
	}
	return [32]byte(raw), nil
}

// HMAC returns the key that messages are signed with, nil on the main network.
func (c *Config) HMAC() (*keys.HMAC, error) {
	if c.Caps.Sign == "" {
		return nil, nil
	}
	key, err := keys.ParseHMAC(c.Caps.Sign)
	if err != nil {
		return nil, errors.New("caps.sign is not the base64 of 32 bytes")
	}
	return key, nil
}

// readConfig reads the file "config" of a home folder; none is the default.
func readConfig(home *os.Root) (*Config, error) {
	cfg := new(Config)
	raw, err := readLimited(home, "config", maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return cfg, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading config: %v", err)
	}
	if err := cfg.decode(stripComments(raw)); err != nil {
		return nil, fmt.Errorf("reading config: %v", err)
	}
	if hops := cfg.Hops(); hops < 0 || hops > 100 {
		return nil, fmt.Errorf("reading config: friends.hops %d is not in 0…100", hops)
	}
	return cfg, nil
}

// stripComments removes // and /* */ comments, which the rc package that
// reads this file in JavaScript allows, and a leading byte order mark.
func stripComments(raw []byte) []byte {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		switch {
		case raw[i] == '"':
			end := stringEnd(raw, i)
			out = append(out, raw[i:end]...)
			i = end
		case bytes.HasPrefix(raw[i:], []byte("//")):
			i += lengthUntil(raw[i:], "\n", 0)
		case bytes.HasPrefix(raw[i:], []byte("/*")):
			i += lengthUntil(raw[i:], "*/", 2)
		default:
			out = append(out, raw[i])
			i++
		}
	}
	return out
}

// stringEnd returns the index behind the JSON string that starts at i.
func stringEnd(raw []byte, i int) int {
	for j := i + 1; j < len(raw); j++ {
		switch raw[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return len(raw)
}

// lengthUntil returns how far it is to the end mark plus extra, or all of raw.
func lengthUntil(raw []byte, mark string, extra int) int {
	if n := bytes.Index(raw, []byte(mark)); n >= 0 {
		return n + extra
	}
	return len(raw)
}

// LogLevel returns what the config of a home folder says of logging, "" if
// nothing.
func LogLevel(home string) (string, error) {
	root, err := os.OpenRoot(home)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer root.Close()
	cfg, err := readConfig(root)
	if err != nil {
		return "", err
	}
	return cfg.Logging.Level, nil
}
