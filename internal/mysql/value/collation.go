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
	// DefaultMySQL and DefaultMariaDB say that it is its character set's default there, unless the server is set otherwise.
	DefaultMySQL, DefaultMariaDB bool
	// InMySQL and InMariaDB say which family has it under this number.
	InMySQL, InMariaDB bool
}

// BinaryID is the collation of byte strings, numbers and dates.
const BinaryID = 63

// Binary says that strings compare by their code points or bytes.
func (c *Collation) Binary() bool {
	return c.Name == "binary" || strings.HasSuffix(c.Name, "_bin") || strings.HasSuffix(c.Name, "_nopad_bin")
}

// CaseInsensitive says that upper and lower case are equal.
func (c *Collation) CaseInsensitive() bool { return strings.HasSuffix(c.Name, "_ci") }

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
// MySQL, a in MariaDB, D and d default of the character set there, n NO PAD. The name begins with the character set's.
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
			DefaultMySQL: strings.Contains(flags, "D"), DefaultMariaDB: strings.Contains(flags, "d"),
			InMySQL: strings.Contains(flags, "m"), InMariaDB: strings.Contains(flags, "a"),
		})
	}
	return out
}()

// collationsByName is the indexes of collations by name; where both families use a name for different numbers, there are two.
var collationsByName = func() map[string][]int {
	out := make(map[string][]int, len(collations))
	for i := range collations {
		out[collations[i].Name] = append(out[collations[i].Name], i)
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

// CollationByName finds a collation by its name in any case; utf8_... is taken for utf8mb3_.... The caller must not change it.
func CollationByName(f gtid.Family, name string) (*Collation, bool) {
	name = strings.ToLower(name)
	if rest, ok := strings.CutPrefix(name, "utf8_"); ok {
		name = "utf8mb3_" + rest
	}
	for _, i := range collationsByName[name] {
		if collations[i].in(f) {
			return &collations[i], true
		}
	}
	return nil, false
}

// DefaultCollation finds the compiled-in default collation of a character set (utf8 means utf8mb3), in any case. MariaDB 11.4 and later change
// theirs by the variable character_set_collations; ask the server where that matters.
func DefaultCollation(f gtid.Family, charset string) (*Collation, bool) {
	charset = strings.ToLower(charset)
	if charset == "utf8" {
		charset = "utf8mb3"
	}
	for i := range collations {
		c := &collations[i]
		if c.Charset == charset && (c.DefaultMySQL && f != gtid.MariaDB || c.DefaultMariaDB && f == gtid.MariaDB) {
			return c, true
		}
	}
	return nil, false
}
