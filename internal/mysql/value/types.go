package value

// Kind is what a value is, as far as comparing and computing are concerned.
type Kind uint8

// Kinds of values.
const (
	KindNull Kind = iota
	KindInt
	KindUint
	KindDecimal
	KindFloat  // single precision
	KindDouble // double precision
	KindDate
	KindDateTime // TIMESTAMP too
	KindTime
	KindYear
	KindBit
	KindString
	KindBytes
	KindEnum // announced as a string with the ENUM flag
	KindSet
	KindJSON
	KindGeometry
	KindVector
)

// Type is a column's type as the protocol announces it.
type Type struct {
	Code     byte // protocol type, such as 3 (LONG), 8 (LONGLONG), 246 (NEWDECIMAL), 253 (VAR_STRING)
	Unsigned bool
	Enum     bool
	Set      bool
	Decimals byte   // digits behind the point; 31 or more means not fixed
	Charset  uint16 // collation number; of a result it is the connection's, not the column's
	Length   uint32 // in bytes
}

// Flags of a column definition that make up a Type.
const (
	flagUnsigned = 1 << 5
	flagEnum     = 1 << 8
	flagSet      = 1 << 11
)

// TypeOf makes a Type of what a column definition packet says.
func TypeOf(code byte, flags uint16, charset uint16, decimals byte, length uint32) Type {
	return Type{
		Code: code, Unsigned: flags&flagUnsigned != 0, Enum: flags&flagEnum != 0 || code == codeEnum, Set: flags&flagSet != 0 || code == codeSet,
		Decimals: decimals, Charset: charset, Length: length,
	}
}

// Protocol type codes.
const (
	codeDecimal    = 0
	codeTiny       = 1
	codeShort      = 2
	codeLong       = 3
	codeFloat      = 4
	codeDouble     = 5
	codeNull       = 6
	codeTimestamp  = 7
	codeLongLong   = 8
	codeInt24      = 9
	codeDate       = 10
	codeTime       = 11
	codeDateTime   = 12
	codeYear       = 13
	codeNewDate    = 14
	codeVarchar    = 15
	codeBit        = 16
	codeVector     = 242
	codeJSON       = 245
	codeNewDecimal = 246
	codeEnum       = 247
	codeSet        = 248
	codeTinyBlob   = 249
	codeMediumBlob = 250
	codeLongBlob   = 251
	codeBlob       = 252
	codeVarString  = 253
	codeString     = 254
	codeGeometry   = 255
)

// Kind says what values of the type are.
func (t Type) Kind() Kind {
	switch t.Code {
	case codeTiny, codeShort, codeLong, codeLongLong, codeInt24:
		if t.Unsigned {
			return KindUint
		}
		return KindInt
	case codeDecimal, codeNewDecimal:
		return KindDecimal
	case codeFloat:
		return KindFloat
	case codeDouble:
		return KindDouble
	case codeNull:
		return KindNull
	case codeDate, codeNewDate:
		return KindDate
	case codeTimestamp, codeDateTime:
		return KindDateTime
	case codeTime:
		return KindTime
	case codeYear:
		return KindYear
	case codeBit:
		return KindBit
	case codeJSON:
		return KindJSON
	case codeGeometry:
		return KindGeometry
	case codeVector:
		return KindVector
	}
	switch {
	case t.Enum:
		return KindEnum
	case t.Set:
		return KindSet
	case t.Charset == BinaryID:
		return KindBytes
	}
	return KindString
}

// Numeric says whether values are numbers.
func (k Kind) Numeric() bool {
	return k == KindInt || k == KindUint || k == KindDecimal || k == KindFloat || k == KindDouble || k == KindYear
}

// Comparable says whether Compare orders values of the kind as the server does. Strings need weight strings, enums and sets
// their number (col+0), JSON the server itself.
func (k Kind) Comparable() bool {
	switch k {
	case KindString, KindEnum, KindSet, KindJSON, KindGeometry:
		return false
	}
	return true
}

// Name is the type's name in SQL, in lower case, without lengths, such as "bigint unsigned".
func (t Type) Name() string {
	name := t.baseName()
	if t.Unsigned && t.Kind().Numeric() && t.Kind() != KindYear {
		name += " unsigned"
	}
	return name
}

func (t Type) baseName() string {
	switch t.Code {
	case codeTiny:
		return "tinyint"
	case codeShort:
		return "smallint"
	case codeLong:
		return "int"
	case codeLongLong:
		return "bigint"
	case codeInt24:
		return "mediumint"
	case codeTimestamp:
		return "timestamp"
	case codeVarchar, codeVarString:
		if t.Charset == BinaryID {
			return "varbinary"
		}
		return "varchar"
	case codeTinyBlob, codeMediumBlob, codeLongBlob, codeBlob:
		return t.blobName()
	}
	switch t.Kind() {
	case KindNull:
		return "null"
	case KindDecimal:
		return "decimal"
	case KindFloat:
		return "float"
	case KindDouble:
		return "double"
	case KindDate:
		return "date"
	case KindDateTime:
		return "datetime"
	case KindTime:
		return "time"
	case KindYear:
		return "year"
	case KindBit:
		return "bit"
	case KindJSON:
		return "json"
	case KindGeometry:
		return "geometry"
	case KindVector:
		return "vector"
	case KindEnum:
		return "enum"
	case KindSet:
		return "set"
	case KindBytes:
		return "binary"
	}
	return "char"
}

func (t Type) blobName() string {
	size := ""
	switch t.Code {
	case codeTinyBlob:
		size = "tiny"
	case codeMediumBlob:
		size = "medium"
	case codeLongBlob:
		size = "long"
	}
	if t.Charset == BinaryID {
		return size + "blob"
	}
	return size + "text"
}
