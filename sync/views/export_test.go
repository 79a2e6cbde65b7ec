package views

import (
	"encoding/hex"
	"strings"

	"github.com/ssbsync/ssbsync/store"
)

// Dump returns all rows of the file but its label.
func (v *Views) Dump() (string, error) {
	var text strings.Builder
	for _, table := range []string{tableTerms, tableNames, tableImages, tableClosed, tableMeta} {
		err := v.view(table, func(tx *store.TableTx) error {
			return tx.Each(nil, nil, func(key, value []byte) bool {
				if string(key) != string(keyLabel) {
					text.WriteString(table + " " + hex.EncodeToString(key) + " " + hex.EncodeToString(value) + "\n")
				}
				return true
			})
		})
		if err != nil {
			return "", err
		}
	}
	return text.String(), nil
}
