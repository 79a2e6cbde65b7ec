package watch

import "context"

// FakeMount is an entry of a fake list of mounts.
type FakeMount struct {
	Medium Medium
	ID     string
	Skip   bool
}

// NewFake returns a watcher whose mounts are what list returns; it is asked
// when something was sent on changed.
func NewFake(c Config, list func() ([]FakeMount, error), changed <-chan error) (*Watcher, error) {
	w, err := New(c)
	if err != nil {
		return nil, err
	}
	w.open = func() (source, error) { return &fakeSource{list, changed}, nil }
	return w, nil
}

type fakeSource struct {
	ask     func() ([]FakeMount, error)
	changes <-chan error
}

func (s *fakeSource) list() ([]mount, error) {
	fakes, err := s.ask()
	if err != nil {
		return nil, err
	}
	var mounts []mount
	for _, f := range fakes {
		mounts = append(mounts, mount{f.Medium, f.ID, f.Skip})
	}
	return mounts, nil
}

func (s *fakeSource) wait(ctx context.Context, changed func()) error {
	changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.changes:
			if err != nil {
				return err
			}
			changed()
		}
	}
}
