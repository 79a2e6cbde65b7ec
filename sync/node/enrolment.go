package node

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// enrolledTable holds the sticks that are visited by themselves. Its keys are
// stick ids, its values Enrolments as JSON.
const enrolledTable = "node.enrolled"

// Enrolment is a stick that is visited by itself when it is there, because the
// user enrolled it, exported to it or synced with it.
type Enrolment struct {
	Stick   stick.ID `json:"stick"`
	Label   string   `json:"label,omitempty"`
	Folder  string   `json:"folder,omitempty"`  // a plain folder that is watched for it
	Since   int64    `json:"since"`             // milliseconds since 1970, for showing only
	Visited int64    `json:"visited,omitempty"` // when a visit last ended well, the same
}

// isEnrolled reports whether a stick is visited by itself.
func (n *Node) isEnrolled(id stick.ID) (bool, error) {
	_, err := n.store.Table(enrolledTable).Get(id[:])
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// enrolments lists the enrolled sticks by id.
func (n *Node) enrolments() (list []Enrolment, err error) {
	err = n.store.Table(enrolledTable).View(func(tx *store.TableTx) error {
		return tx.Each(nil, nil, func(_, value []byte) bool {
			var e Enrolment
			if json.Unmarshal(value, &e) == nil {
				list = append(list, e)
			}
			return true
		})
	})
	return list, err
}

// enrol remembers a stick: change is given what is remembered so far, and
// changes it.
func (n *Node) enrol(id stick.ID, change func(*Enrolment)) (Enrolment, error) {
	var e Enrolment
	err := n.store.Table(enrolledTable).Update(func(tx *store.TableTx) error {
		value, err := tx.Get(id[:])
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil || json.Unmarshal(value, &e) != nil {
			e = Enrolment{Stick: id, Since: n.options.Now().UnixMilli()}
		}
		change(&e)
		if value, err = json.Marshal(e); err != nil {
			return err
		}
		return tx.Put(id[:], value)
	})
	if err != nil {
		return e, fmt.Errorf("enrolling stick %s: %w", id, err)
	}
	return e, nil
}

// used enrols a stick that the user exported to or synced with.
func (n *Node) used(s *stick.Stick) error {
	if known, err := n.isEnrolled(s.ID()); known || err != nil {
		return err
	}
	_, err := n.enrol(s.ID(), func(e *Enrolment) { e.Label = s.Label() })
	return err
}

// visited notes that a visit of an enrolled stick ended well.
func (n *Node) visited(id stick.ID) error {
	known, err := n.isEnrolled(id)
	if !known || err != nil {
		return err
	}
	_, err = n.enrol(id, func(e *Enrolment) { e.Visited = n.options.Now().UnixMilli() })
	return err
}

// forgetStick ends that a stick is visited by itself, and reports whether it
// was enrolled.
func (n *Node) forgetStick(id stick.ID) (bool, error) {
	known, err := n.isEnrolled(id)
	if !known || err != nil {
		return false, err
	}
	return true, n.store.Table(enrolledTable).Delete(id[:])
}

// wantsNobody reports whether no feed but the own one is wanted.
func (p *policy) wantsNobody() bool { return !p.all && len(p.Wanted()) <= 1 }
