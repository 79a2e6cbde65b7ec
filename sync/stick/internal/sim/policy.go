package sim

import (
	"github.com/ssbsync/ssbsync/sync/space"
)

// Policy is a way to deal with a stick that gets full.
type Policy struct {
	Name string

	// Goes lists what may go when there is no room for what is asked for.
	Goes space.Policy

	// DropDormant: what only stores lack that have not come by for long makes
	// nothing go, and is written only where there is room to spare.
	DropDormant bool

	// Merges: small bundles are merged where that pays.
	Merges bool

	// Relieves: what nobody needs goes for others as well.
	Relieves bool
}

// Policies returns the one of the program and those it is compared with.
func Policies() []Policy {
	return []Policy{
		{Name: "stop when full", Goes: stop{}},
		DropOldest(),
		{Name: "drop oldest, dormant stores dropped", Goes: oldest{}, DropDormant: true},
		{Name: "need score", Goes: space.NeedScore{}, Merges: true, Relieves: true},
		Real(),
	}
}

// DropOldest returns the policy that must be beaten.
func DropOldest() Policy { return Policy{Name: "drop oldest", Goes: oldest{}} }

// Real returns the policy of the program.
func Real() Policy {
	return Policy{Name: "need score, dormant stores dropped", Goes: space.NeedScore{}, DropDormant: true, Merges: true, Relieves: true}
}

// stop removes nothing.
type stop struct{}

func (stop) Candidates(*space.Medium) []space.Candidate { return nil }

// oldest removes what was placed first.
type oldest struct{}

func (oldest) Candidates(m *space.Medium) []space.Candidate {
	var list []space.Candidate
	for i := range m.Bundles {
		list = append(list, space.Candidate{Bundle: i, Reason: space.IsReleased})
	}
	return list
}

// Run plays a scenario under a policy.
func Run(s Scenario, rules Rules, policy Policy) Result { return newWorld(s, rules, policy).run() }
