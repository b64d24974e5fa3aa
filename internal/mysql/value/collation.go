package value

import (
	_ "embed" // for the table of collations
	"slices"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
)

// Collation is a collation of one family or of both.
type Collation struct {
	ID      uint16
	Name    string
	Charset string
	// PadSpace says that trailing spaces do not count in comparisons.
	PadSpace bool
	// InMySQL and InMariaDB say which family has it under this number.
	InMySQL, InMariaDB bool
}

// BinaryID is the collation of byte strings, numbers and dates.
const BinaryID = 63

// Binary says that strings compare by their code points or bytes.
func (c *Collation) Binary() bool {
	return c.Name == "binary" || strings.HasSuffix(c.Name, "_bin") || strings.HasSuffix(c.Name, "_nopad_bin")
}

// in says whether a family has the collation; NoFamily means any.
func (c *Collation) in(f gtid.Family) bool {
	switch f {
	case gtid.MySQL:
		return c.InMySQL
	case gtid.MariaDB:
		return c.InMariaDB
	}
	return true
}

// collationText has a line for each collation of MySQL 9.7 and MariaDB 10.11, by number: number, name, and letters: m in
// MySQL, a in MariaDB, n NO PAD. The name begins with the character set's.
//
//go:embed collations.txt
var collationText string

// collations is all of them by number, made once and never changed.
var collations = func() []Collation {
	out := make([]Collation, 0, 1300)
	for line := range strings.Lines(collationText) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		name, flags, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(id, 10, 16)
		if err != nil {
			panic("collations.txt: " + line)
		}
		charset, _, _ := strings.Cut(name, "_")
		out = append(out, Collation{
			ID: uint16(n), Name: name, Charset: charset, PadSpace: !strings.Contains(flags, "n"),
			InMySQL: strings.Contains(flags, "m"), InMariaDB: strings.Contains(flags, "a"),
		})
	}
	return out
}()

// CollationByID finds a collation by its number in a family; with NoFamily in either, MySQL's name first. The caller must
// not change it.
func CollationByID(f gtid.Family, id uint16) (*Collation, bool) {
	i, ok := slices.BinarySearchFunc(collations, id, func(c Collation, id uint16) int { return int(c.ID) - int(id) })
	for ; ok && i < len(collations) && collations[i].ID == id; i++ {
		if collations[i].in(f) {
			return &collations[i], true
		}
	}
	return nil, false
}
