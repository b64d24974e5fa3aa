package value

import "unicode/utf8"

// charsetWidths is the longest character of each character set with more than one byte, in bytes.
func charsetWidth(charset string) int {
	switch charset {
	case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030":
		return 4
	case "utf8mb3", "utf8", "ujis", "eucjpms":
		return 3
	case "ucs2", "big5", "gbk", "gb2312", "sjis", "cp932", "euckr":
		return 2
	}
	return 1
}

// MaxWidth is how many bytes the longest character of a character set takes; 1 for one that is not known.
func MaxWidth(charset string) int { return charsetWidth(charset) }

// SafeForQuoting says whether no character of the set contains the byte of a quote or backslash, so that AppendString is right
// for text in it.
func SafeForQuoting(charset string) bool {
	switch charset {
	case "big5", "gbk", "sjis", "cp932", "gb18030", "ucs2", "utf16", "utf16le", "utf32":
		return false
	}
	return true
}

// CharCount is how many characters b has in a character set. Bytes that form no character count one each.
func CharCount(charset string, b []byte) int {
	if charset == "utf8mb4" || charset == "utf8mb3" || charset == "utf8" {
		return utf8.RuneCount(b)
	}
	n := 0
	for len(b) > 0 {
		w := charLen(charset, b)
		if w > len(b) {
			w = 1
		}
		b = b[w:]
		n++
	}
	return n
}

// TruncateChars returns the first n characters of b.
func TruncateChars(charset string, b []byte, n int) []byte {
	i := 0
	for ; n > 0 && i < len(b); n-- {
		w := charLen(charset, b[i:])
		if i+w > len(b) {
			w = 1
		}
		i += w
	}
	return b[:i]
}

// charLen is how many bytes the character at the front of b takes, by its first bytes; b is not empty.
func charLen(charset string, b []byte) int {
	c := b[0]
	second := byte(0)
	if len(b) > 1 {
		second = b[1]
	}
	switch charset {
	case "utf8mb4", "utf8mb3", "utf8":
		_, n := utf8.DecodeRune(b)
		return n
	case "ucs2":
		return 2
	case "utf32":
		return 4
	case "utf16":
		if c >= 0xd8 && c <= 0xdb {
			return 4
		}
		return 2
	case "utf16le":
		if second >= 0xd8 && second <= 0xdb {
			return 4
		}
		return 2
	case "gb18030":
		switch {
		case c < 0x81 || c == 0xff:
			return 1
		case second >= 0x30 && second <= 0x39:
			return 4
		}
		return 2
	case "sjis", "cp932":
		if c >= 0x81 && c <= 0x9f || c >= 0xe0 && c <= 0xfc {
			return 2
		}
	case "ujis", "eucjpms":
		switch {
		case c == 0x8f:
			return 3
		case c == 0x8e || c >= 0xa1 && c <= 0xfe:
			return 2
		}
	case "big5", "gb2312":
		if c >= 0xa1 && c <= 0xfe {
			return 2
		}
	case "gbk", "euckr":
		if c >= 0x81 && c <= 0xfe {
			return 2
		}
	}
	return 1
}
