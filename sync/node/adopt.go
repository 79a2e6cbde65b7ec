package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
)

// adoptedTable holds, by the name of a log, what it was like when the user
// confirmed that its program no longer writes with our identity.
const adoptedTable = "node.adopted"

// otherLogs are the databases of other programs that use our identity: their
// folder, and the log in it.
var otherLogs = [...][2]string{{"flume", "flume/log.offset"}, {"db2", "db2/log.bipf"}}

// OtherLog is the log of another program in the home folder.
type OtherLog struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`     // bytes
	Modified int64  `json:"modified"` // nanoseconds since 1970
	Adopted  bool   `json:"adopted"`  // and unchanged since
}

// findOtherLogs lists the logs of other programs.
func (n *Node) findOtherLogs() (found []OtherLog, err error) {
	for _, names := range otherLogs {
		dir, err := n.home.Stat(names[0])
		if err != nil || !dir.IsDir() {
			continue
		}
		l := OtherLog{Name: names[1]}
		info, err := n.home.Stat(names[1])
		switch {
		case err == nil:
			l.Size, l.Modified = info.Size(), info.ModTime().UnixNano()
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		if l.Adopted, err = n.isAdopted(l); err != nil {
			return nil, err
		}
		found = append(found, l)
	}
	return found, nil
}

func (n *Node) isAdopted(l OtherLog) (bool, error) {
	row, err := n.store.Table(adoptedTable).Get([]byte(l.Name))
	if err != nil {
		return false, ignoreNotFound(err)
	}
	var was OtherLog
	if err := json.Unmarshal(row, &was); err != nil {
		return false, fmt.Errorf("reading what was adopted: %v", err)
	}
	return was.Size == l.Size && was.Modified == l.Modified, nil
}

// checkOtherApps refuses to publish while another program may write with our
// identity: two writers fork a feed.
func (n *Node) checkOtherApps() error {
	found, err := n.findOtherLogs()
	if err != nil {
		return err
	}
	for _, l := range found {
		if l.Adopted {
			continue
		}
		what := "is the log of another program with the same identity"
		if _, err := n.store.Table(adoptedTable).Get([]byte(l.Name)); err == nil {
			what = "was written to since it was adopted"
		}
		return &muxrpc.RemoteError{Name: ErrorOther, Message: fmt.Sprintf("%s/%s %s: two writers would fork the feed", n.options.Home, l.Name, what)}
	}
	return nil
}

// AdoptOptions are the options of ssbsync.adopt.
type AdoptOptions struct {
	Unpublished bool `json:"unpublished"` // the user says that the other program never published
}

// AdoptReport is the answer of ssbsync.adopt.
type AdoptReport struct {
	Logs []OtherLog `json:"logs"`
	Own  int64      `json:"own"` // sequence of the own feed, which publishing goes on from
}

// adopt notes that the user no longer uses the other programs of this home
// folder, whose messages are all here: ssbsync.adopt({unpublished}).
func (n *Node) adopt(_ context.Context, c *muxrpc.Call) (any, error) {
	var o AdoptOptions
	if err := options(c, &o); err != nil {
		return nil, err
	}
	found, err := n.findOtherLogs()
	if err != nil {
		return nil, err
	}
	head, err := n.ownHead()
	if err != nil {
		return nil, err
	}
	if len(found) > 0 && head.Seq == 0 && !o.Unpublished {
		return nil, &muxrpc.RemoteError{Name: ErrorOther, Message: "none of your own messages is here, but the other program may have published some"}
	}
	err = n.store.Table(adoptedTable).Update(func(tx *store.TableTx) error {
		for i := range found {
			found[i].Adopted = true
			row, err := json.Marshal(found[i])
			if err == nil {
				err = tx.Put([]byte(found[i].Name), row)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if found == nil {
		found = []OtherLog{}
	}
	return AdoptReport{Logs: found, Own: head.Seq}, err
}
