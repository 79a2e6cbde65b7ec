package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Auto says which sticks are visited by themselves.
type Auto string

// The ways to choose.
const (
	AutoEnrolled Auto = "enrolled" // those that this node was told about
	AutoAll      Auto = "all"      // every one that has a marker
	AutoAsk      Auto = "ask"      // the enrolled ones; for others the user is asked
)

// ParseAuto reads the name of a mode.
func ParseAuto(text string) (Auto, error) {
	if a := Auto(text); slices.Contains([]Auto{AutoEnrolled, AutoAll, AutoAsk}, a) {
		return a, nil
	}
	return "", fmt.Errorf("%q is none of enrolled, all and ask", text)
}

// UnmarshalText reads the name of a mode.
func (a *Auto) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAuto(string(text))
	return err
}

// Watch is the setting ssbsync.watch: false, or what to do with media.
type Watch struct {
	Off     bool     `json:"-"`
	Auto    Auto     `json:"auto"`    // "" = enrolled
	Folders []string `json:"folders"` // plain folders to watch besides the enrolled ones, absolute
	Media   *bool    `json:"media"`   // watch sticks and other mounted media too; nil = yes
	OnDone  string   `json:"onDone"`  // a command to run after each visit

	// What the program does beside the node.
	Notify   *bool `json:"notify"`   // notifications on the desktop; nil = yes
	Mount    bool  `json:"mount"`    // mount removable media that nobody mounts
	PowerOff bool  `json:"powerOff"` // power sticks off when their visit is done
}

// WatchConfig returns ssbsync.watch of the config in a home folder, which need
// not be there.
func WatchConfig(home string) (w Watch, err error) {
	root, err := os.OpenRoot(home)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return w, err
	}
	defer root.Close()
	cfg, err := readConfig(root)
	if err != nil {
		return w, err
	}
	return cfg.Ssbsync.Watch, nil
}

// UnmarshalJSON reads true, false or an object.
func (w *Watch) UnmarshalJSON(raw []byte) error {
	var on bool
	if json.Unmarshal(raw, &on) == nil {
		w.Off = !on
		return nil
	}
	type plain Watch // without this method
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(w)); err != nil {
		return fmt.Errorf("ssbsync.watch: %v", err)
	}
	for _, folder := range w.Folders {
		if !filepath.IsAbs(folder) {
			return fmt.Errorf("ssbsync.watch: folder %q is not absolute", folder)
		}
	}
	return nil
}

// MediaOptions say which media a running node visits by itself. What is set
// overrides the config; folders are added to those of the config.
type MediaOptions struct {
	Off     bool
	Auto    Auto     // "" = as the config says
	Folders []string // plain folders, absolute
	OnDone  string   // run by the shell after each visit; "" = as the config says

	// Settle is how long a folder must be at rest before a change in it
	// counts, Every how long at least lies between two visits of a folder
	// that only our own news cause. 0 means 2 seconds and a minute.
	Settle, Every time.Duration
}

// mediaOptions merges the options with the config.
func (n *Node) mediaOptions(o MediaOptions) MediaOptions {
	c := n.config.Ssbsync.Watch
	o.Off = o.Off || c.Off
	if o.Auto == "" {
		o.Auto = c.Auto
	}
	if o.Auto == "" {
		o.Auto = AutoEnrolled
	}
	if o.OnDone == "" {
		o.OnDone = c.OnDone
	}
	if o.Every <= 0 {
		o.Every = time.Minute
	}
	o.Folders = slices.Concat(c.Folders, o.Folders)
	return o
}
