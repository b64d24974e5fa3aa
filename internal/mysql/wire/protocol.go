package wire

// Capability is a set of capability flags. The low 32 bits are MySQL's, the high
// 32 bits are MariaDB's extended ones. What a connection speaks is what the server
// offered AND the client sent: both sides must decode by that intersection only.
type Capability uint64

// Capability flags of MySQL, and of MariaDB in the low word.
const (
	// ClientMySQL is also called LONG_PASSWORD. A server that leaves it clear is a
	// MariaDB whose greeting carries the extended word.
	ClientMySQL Capability = 1 << iota
	// ClientFoundRows makes affected rows count the rows found, not those changed.
	ClientFoundRows
	ClientLongFlag
	ClientConnectWithDB
	ClientNoSchema
	ClientCompress
	ClientODBC
	ClientLocalFiles
	ClientIgnoreSpace
	ClientProtocol41
	ClientInteractive
	ClientSSL
	ClientIgnoreSigpipe
	ClientTransactions
	ClientReserved
	ClientSecureConnection
	ClientMultiStatements
	ClientMultiResults
	ClientPSMultiResults
	ClientPluginAuth
	ClientConnectAttrs
	ClientPluginAuthLenenc
	ClientExpiredPasswords
	// ClientSessionTrack makes the info of OK packets length-encoded and lets
	// session state follow it.
	ClientSessionTrack
	// ClientDeprecateEOF drops the EOF after column definitions and turns the last
	// EOF of a result into an OK packet with the header 0xfe.
	ClientDeprecateEOF
	ClientOptionalMetadata
	ClientZstd
	// ClientQueryAttributes puts a block of attributes before the text of COM_QUERY
	// and into COM_STMT_EXECUTE.
	ClientQueryAttributes
	ClientMultiFactor
	ClientCapabilityExtension
	ClientVerifyServerCert
	ClientRememberOptions
	// MariaDBProgress lets the server send progress packets: ERR with errno 0xffff.
	MariaDBProgress
	mariaDBReserved
	MariaDBBulk
	// MariaDBExtendedMetadata adds a length-encoded string to each column definition.
	MariaDBExtendedMetadata
	// MariaDBCacheMetadata adds a byte to the column count: do definitions follow?
	MariaDBCacheMetadata
	MariaDBBulkUnitResults
)

// Has says whether all flags of f are set.
func (c Capability) Has(f Capability) bool { return c&f == f }

// Status flags of OK and EOF packets.
const (
	StatusInTrans            uint16 = 0x0001
	StatusAutocommit         uint16 = 0x0002
	StatusMoreResults        uint16 = 0x0008
	StatusNoGoodIndex        uint16 = 0x0010
	StatusNoIndex            uint16 = 0x0020
	StatusCursorExists       uint16 = 0x0040
	StatusLastRowSent        uint16 = 0x0080
	StatusDBDropped          uint16 = 0x0100
	StatusNoBackslashEscapes uint16 = 0x0200
	StatusMetadataChanged    uint16 = 0x0400
	StatusQueryWasSlow       uint16 = 0x0800
	StatusPSOutParams        uint16 = 0x1000
	StatusInTransReadonly    uint16 = 0x2000
	StatusSessionState       uint16 = 0x4000
	StatusAnsiQuotes         uint16 = 0x8000 // set by MariaDB only
)

// Command bytes: the first byte of a client's command.
const (
	ComQuit             byte = 0x01
	ComInitDB           byte = 0x02
	ComQuery            byte = 0x03
	ComFieldList        byte = 0x04
	ComCreateDB         byte = 0x05
	ComDropDB           byte = 0x06
	ComRefresh          byte = 0x07
	ComShutdown         byte = 0x08
	ComStatistics       byte = 0x09
	ComProcessInfo      byte = 0x0a
	ComConnect          byte = 0x0b
	ComProcessKill      byte = 0x0c
	ComDebug            byte = 0x0d
	ComPing             byte = 0x0e
	ComChangeUser       byte = 0x11
	ComBinlogDump       byte = 0x12
	ComRegisterReplica  byte = 0x15
	ComStmtPrepare      byte = 0x16
	ComStmtExecute      byte = 0x17
	ComStmtSendLongData byte = 0x18
	ComStmtClose        byte = 0x19
	ComStmtReset        byte = 0x1a
	ComSetOption        byte = 0x1b
	ComStmtFetch        byte = 0x1c
	ComBinlogDumpGTID   byte = 0x1e
	ComResetConnection  byte = 0x1f
	ComStmtBulkExecute  byte = 0xfa // MariaDB
)

// Values of COM_SET_OPTION.
const (
	OptionMultiStatementsOn  uint16 = 0
	OptionMultiStatementsOff uint16 = 1
)

// Column types on the wire.
const (
	TypeDecimal    byte = 0x00
	TypeTiny       byte = 0x01
	TypeShort      byte = 0x02
	TypeLong       byte = 0x03
	TypeFloat      byte = 0x04
	TypeDouble     byte = 0x05
	TypeNull       byte = 0x06
	TypeTimestamp  byte = 0x07
	TypeLongLong   byte = 0x08
	TypeInt24      byte = 0x09
	TypeDate       byte = 0x0a
	TypeTime       byte = 0x0b
	TypeDatetime   byte = 0x0c
	TypeYear       byte = 0x0d
	TypeNewDate    byte = 0x0e
	TypeVarchar    byte = 0x0f
	TypeBit        byte = 0x10
	TypeTimestamp2 byte = 0x11
	TypeDatetime2  byte = 0x12
	TypeTime2      byte = 0x13
	TypeVector     byte = 0xf2
	TypeJSON       byte = 0xf5
	TypeNewDecimal byte = 0xf6
	TypeEnum       byte = 0xf7
	TypeSet        byte = 0xf8
	TypeTinyBlob   byte = 0xf9
	TypeMediumBlob byte = 0xfa
	TypeLongBlob   byte = 0xfb
	TypeBlob       byte = 0xfc
	TypeVarString  byte = 0xfd
	TypeString     byte = 0xfe
	TypeGeometry   byte = 0xff
)

// Flags of a column definition.
const (
	FlagNotNull       uint16 = 0x0001
	FlagPrimaryKey    uint16 = 0x0002
	FlagUniqueKey     uint16 = 0x0004
	FlagMultipleKey   uint16 = 0x0008
	FlagBlob          uint16 = 0x0010
	FlagUnsigned      uint16 = 0x0020
	FlagZerofill      uint16 = 0x0040
	FlagBinary        uint16 = 0x0080
	FlagEnum          uint16 = 0x0100
	FlagAutoIncrement uint16 = 0x0200
	FlagTimestamp     uint16 = 0x0400
	FlagSet           uint16 = 0x0800
	FlagNoDefault     uint16 = 0x1000
	FlagOnUpdateNow   uint16 = 0x2000
	FlagNum           uint16 = 0x8000
)

// Collation ids. All servers know all but the last one.
const (
	CharsetLatin1           uint8 = 8
	CharsetUTF8             uint8 = 33
	CharsetUTF8MB4          uint8 = 45 // utf8mb4_general_ci
	CharsetBinary           uint8 = 63
	CharsetUTF8MB4UnicodeCI uint8 = 224
	CharsetUTF8MB40900AICI  uint8 = 255 // MySQL only; MariaDB silently takes its own default
)

// Authentication plugins.
const (
	PluginNative    = "mysql_native_password"
	PluginSHA2      = "caching_sha2_password"
	PluginEd25519   = "client_ed25519"
	PluginClear     = "mysql_clear_password"
	PluginSHA256    = "sha256_password"
	scrambleLen     = 20
	ed25519NonceLen = 32
)

// DefaultMaxPacket is the limit of one logical packet where the caller has no
// other: 64 MiB, MySQL's own default for max_allowed_packet.
const DefaultMaxPacket = 64 << 20

// Framing, and the first bytes that tell packets apart.
const (
	headerLen = 4         // 3 bytes of length, little endian, 1 byte of sequence
	maxChunk  = 1<<24 - 1 // a chunk of this length is continued by the next

	packetOK          byte = 0x00
	packetMore        byte = 0x01
	packetLocalInfile byte = 0xfb
	packetEOF         byte = 0xfe
	packetErr         byte = 0xff

	errnoProgress = 0xffff // MariaDB: a progress report dressed as ERR
	minFERow      = 9      // a row that begins with 0xfe has 8 bytes of length after it; an EOF is shorter
)
