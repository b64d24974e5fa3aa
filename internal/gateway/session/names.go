package session

import (
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
)

// handshakeNames turns the charset byte of a client's handshake into the SET NAMES that has the same effect, or "" when
// it is what pooled connections have anyway. Ids that the family of servers does not know mean its general utf8mb4.
func handshakeNames(id uint8, mariaDB bool) string {
	if id == 45 || id == 0 {
		return ""
	}
	family := gtid.MySQL
	if mariaDB {
		family = gtid.MariaDB
	}
	c, ok := value.CollationByID(family, uint16(id))
	if !ok {
		return ""
	}
	return "NAMES '" + c.Charset + "' COLLATE '" + c.Name + "'"
}
