// Package views holds the indexes on which apps search: which messages have a
// type, a channel, a root, a link, a word; and what feeds call each other. It
// follows the receive log of a store from a cursor of its own and keeps what it
// finds in a file beside the store, which may be deleted at any time.
//
// The file is an inverted index in blocks. A block stands for [BlockSize]
// receive numbers; its rows say of each term in which messages of the block it
// is. The rows of a block are neighbours, so that the index grows at its end as
// the log does: building it takes little memory and writes little, and a search
// for the newest reads the last blocks only. An index answers with candidates:
// long terms are cut, so that who asks looks into the messages.
//
// A step takes the messages of one block at most and commits rows and cursor
// together: a kill costs no more than one step.
package views

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// The tables of the file.
const (
	tableMeta   = "meta"   // what the file is of, and its cursor
	tableTerms  = "terms"  // block, kind and term → postings
	tableNames  = "names"  // who and whom → receive number and name
	tableImages = "images" // who and whom → receive number and id of a blob
	tableClosed = "closed" // receive numbers of envelopes that were not for us
)

// form is the form of the tables. Files of another form are made anew.
const form = 2

var (
	keyLabel  = []byte("label")
	keyCursor = []byte("cursor") // receive number and id of the last message
)

// Config says what is followed. Store, Path and Owner must be set.
type Config struct {
	Store *store.Store
	Path  string    // of the file; its folder must exist
	Owner refs.Feed // whose private messages are among the messages
	Log   *slog.Logger

	// Plain returns a record with its content in clear if it is a private
	// message that the owner can read, else the record itself. Nil is no
	// private messages.
	Plain func(*store.Record) *store.Record

	// Step bounds the messages that one transaction takes. 0 is BlockSize.
	Step int

	// Late counts the occasions on which messages that were closed before have
	// opened. Nil is never.
	Late func() uint64
}

// Views is the index of a store. Its methods may be called from many
// goroutines. The file is opened when it is first needed.
type Views struct {
	config Config

	mu   sync.Mutex // held while the index follows the receive log
	late uint64     // guarded by mu: the count of Late that was attended to, plus 1

	opening sync.Mutex // guards what follows
	side    *store.Side
	closed  bool
}

// New returns the views of a store. Nothing is opened yet.
func New(c Config) *Views {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Plain == nil {
		c.Plain = func(rec *store.Record) *store.Record { return rec }
	}
	if c.Late == nil {
		c.Late = func() uint64 { return 0 }
	}
	return &Views{config: c}
}

// Close closes the file.
func (v *Views) Close() error {
	v.opening.Lock()
	defer v.opening.Unlock()
	v.closed = true
	return v.shut()
}

// shut closes the file if it is open. opening must be held.
func (v *Views) shut() (err error) {
	if v.side != nil {
		err = v.side.Close()
		v.side = nil
	}
	return err
}

// open returns the file, opened or made as need be.
func (v *Views) open() (*store.Side, error) {
	v.opening.Lock()
	defer v.opening.Unlock()
	switch {
	case v.closed:
		return nil, store.ErrClosed
	case v.side != nil:
		return v.side, nil
	}
	side, err := store.OpenSide(v.config.Path, store.Options{})
	if err == nil {
		err = v.fits(side)
		if err == nil {
			v.side = side
			return side, nil
		}
		side.Close()
	}
	if !hopeless(err) {
		return nil, err
	}
	v.config.Log.Info("the index of apps is made anew", "why", err)
	if err := os.Remove(v.config.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if side, err = store.OpenSide(v.config.Path, store.Options{}); err != nil {
		return nil, err
	}
	if err := v.fits(side); err != nil {
		return nil, errors.Join(err, side.Close())
	}
	v.side = side
	return side, nil
}

// errOther is what a file of something else gives.
var errOther = errors.New("it is of another store or form")

// hopeless reports whether the file is to be made anew.
func hopeless(err error) bool {
	return errors.Is(err, errOther) || errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrNotStore)
}

// fits looks whether the file is one of this store, and labels a new one.
func (v *Views) fits(side *store.Side) error {
	id := v.config.Store.ID()
	label := append([]byte{form}, id[:]...)
	label = append(label, v.config.Owner[:]...)
	return side.Update(tableMeta, func(tx *store.TableTx) error {
		was, err := tx.Get(keyLabel)
		if errors.Is(err, store.ErrNotFound) {
			return tx.Put(keyLabel, label)
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(was, label) {
			return errOther
		}
		return v.follows(tx)
	})
}

// follows looks whether the message of the cursor is still where it was: a
// store may have been replaced by an earlier copy.
func (v *Views) follows(tx *store.TableTx) error {
	text, err := tx.Table(tableMeta).Get(keyCursor)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	after, err := cursorIn(tx)
	if err != nil {
		return err
	}
	rec, err := v.config.Store.Rx(after)
	if errors.Is(err, store.ErrNotFound) || err == nil && !bytes.Equal(rec.ID[:], text[8:]) {
		return errOther
	}
	return err
}

// discard has the file made anew when err says that it is damaged.
func (v *Views) discard(err error) bool {
	if !hopeless(err) {
		return false
	}
	v.config.Log.Warn("the index of apps is damaged and is made anew", "err", err)
	v.opening.Lock()
	defer v.opening.Unlock()
	if v.closed {
		return false
	}
	return errors.Join(v.shut(), os.Remove(v.config.Path)) == nil
}

// view reads a table.
func (v *Views) view(table string, fn func(*store.TableTx) error) error {
	side, err := v.open()
	if err != nil {
		return fmt.Errorf("the index of apps: %w", err)
	}
	if err := side.View(table, fn); err != nil {
		v.discard(err)
		return fmt.Errorf("the index of apps: %w", err)
	}
	return nil
}

// Cursor returns the receive number up to which messages are indexed.
func (v *Views) Cursor() (after uint64, err error) {
	err = v.view(tableMeta, func(tx *store.TableTx) error {
		after, err = cursorIn(tx)
		return err
	})
	return after, err
}

func cursorIn(tx *store.TableTx) (uint64, error) {
	text, err := tx.Table(tableMeta).Get(keyCursor)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(text) != 8+len(refs.Message{}) {
		err = fmt.Errorf("%w: cursor", store.ErrDamaged)
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(text), nil
}

// CatchUp indexes what was received since the last time.
func (v *Views) CatchUp(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = v.Step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Step indexes the messages of one block at most, and reports whether there
// are more.
func (v *Views) Step(ctx context.Context) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	side, err := v.open()
	if err == nil {
		more, err = v.step(ctx, side)
	}
	if err != nil && v.discard(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("the index of apps: %w", err)
	}
	return more, nil
}
