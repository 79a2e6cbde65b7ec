package stick_test

import (
	"testing"
)

// TestForkAcrossTheHead: the other branch of a feed lies in a run that reaches
// from before our head to after it. What comes after does not attach, and that
// is a fork, not only a message to refuse.
func TestForkAcrossTheHead(t *testing.T) {
	for name, own := range map[string]bool{"own feed": true, "another feed": false} {
		for _, length := range []int{3, 4, 6} { // of our branch; theirs ends at 5
			a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
			n := byte(11)
			if own {
				n = 1
			}
			a.post(n, 2)
			b.post(n, 2)
			a.write(n, length-2, "our branch")
			b.write(n, 3, "the other branch")
			m.open()
			m.put(pack(t, 2, network, b.records(n, 2, 5)))
			rep := a.visit(m)
			if len(rep.Import.Forks) != 1 || rep.Import.Forks[0].Feed != feed(n) {
				t.Errorf("%s, %d messages: %+v", name, length, rep.Import)
			}
			a.wantHead(n, int64(length))
			if own && (!a.status().Forked || a.peer.Guard.RecoverDone() != nil || a.peer.Guard.Check() == nil) {
				t.Errorf("%d messages: a fork of the own feed may be published to: %+v", length, a.status())
			}
			if rep := a.visit(m); rep.Import.Messages != 0 || len(rep.Import.Forks) != 0 {
				t.Errorf("%s, %d messages: read again: %+v", name, length, rep.Import)
			}
		}
	}
}
