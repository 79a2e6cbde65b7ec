package stick

import "github.com/ssbsync/ssbsync/sync/ingest"

// NewReport returns the report of messages that came another way than from a
// medium.
func NewReport(s ingest.Summary) Report {
	var r Report
	r.count(s)
	for _, f := range s.Feeds {
		if f.New > 0 {
			r.Feeds++
		}
	}
	return r
}
