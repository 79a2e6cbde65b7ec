package bundle

// ReprintRangeTable parses a range table that belongs to m and prints it.
func ReprintRangeTable(b []byte, m *Manifest) ([]byte, error) {
	t, err := parseRangeTable(b, m)
	if err != nil {
		return nil, err
	}
	return t.marshal(), nil
}
