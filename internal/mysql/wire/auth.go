package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"filippo.io/edwards25519"
)

// Account is what a server knows of a user's password. Each hash that is there
// admits the plugin that it belongs to; an account without any has an empty
// password.
type Account struct {
	// Plugin, if set, is the only plugin that the user may use. Empty: the client's,
	// if a hash fits it.
	Plugin     string
	NativeHash []byte // SHA1(SHA1(password)), 20 bytes
	SHA2Hash   []byte // SHA256(SHA256(password)), 32 bytes
	Ed25519Key []byte // the public key that MariaDB stores, 32 bytes
}

// Accounts finds accounts. It is asked by many connections at once.
type Accounts interface {
	Account(user string) (Account, bool)
}

func (a *Account) empty() bool {
	return len(a.NativeHash) == 0 && len(a.SHA2Hash) == 0 && len(a.Ed25519Key) == 0
}

// fits says whether plugin can check this account without the clear password.
func (a *Account) fits(plugin string) bool {
	switch plugin {
	case PluginNative:
		return len(a.NativeHash) > 0 || a.empty()
	case PluginSHA2:
		return len(a.SHA2Hash) > 0 || a.empty()
	case PluginEd25519:
		return len(a.Ed25519Key) > 0
	}
	return false
}

// matches compares a clear password with whatever hash there is.
func (a *Account) matches(password []byte) bool {
	switch {
	case len(a.SHA2Hash) > 0:
		return subtle.ConstantTimeCompare(HashSHA2(string(password)), a.SHA2Hash) == 1
	case len(a.NativeHash) > 0:
		return subtle.ConstantTimeCompare(HashNative(string(password)), a.NativeHash) == 1
	case len(a.Ed25519Key) > 0:
		return subtle.ConstantTimeCompare(Ed25519PublicKey(string(password)), a.Ed25519Key) == 1
	}
	return len(password) == 0
}

// NewAccount makes the account of a clear password, with the hashes of all plugins.
func NewAccount(password string) Account {
	if password == "" {
		return Account{}
	}
	return Account{
		NativeHash: HashNative(password),
		SHA2Hash:   HashSHA2(password),
		Ed25519Key: Ed25519PublicKey(password),
	}
}

// HashNative returns SHA1(SHA1(password)): what mysql_native_password stores.
func HashNative(password string) []byte {
	one := sha1.Sum([]byte(password))
	two := sha1.Sum(one[:])
	return two[:]
}

// HashSHA2 returns SHA256(SHA256(password)): what caching_sha2_password's cache holds.
func HashSHA2(password string) []byte {
	one := sha256.Sum256([]byte(password))
	two := sha256.Sum256(one[:])
	return two[:]
}

// ScrambleNative is a client's answer to nonce: SHA1(pw) XOR SHA1(nonce, SHA1(SHA1(pw))).
// It is empty for an empty password.
func ScrambleNative(password string, nonce []byte) []byte {
	if password == "" {
		return nil
	}
	one := sha1.Sum([]byte(password))
	mask := sha1.Sum(append(clip(nonce, scrambleLen), HashNative(password)...))
	return xor(one[:], mask[:])
}

// checkNative verifies a native scramble against the stored hash.
func checkNative(scramble, nonce, hash []byte) bool {
	if len(scramble) != sha1.Size {
		return false
	}
	mask := sha1.Sum(append(clip(nonce, scrambleLen), hash...))
	got := sha1.Sum(xor(scramble, mask[:]))
	return subtle.ConstantTimeCompare(got[:], hash) == 1
}

// ScrambleSHA2 is a client's answer to nonce: SHA256(pw) XOR SHA256(SHA256(SHA256(pw)), nonce).
// It is empty for an empty password.
func ScrambleSHA2(password string, nonce []byte) []byte {
	if password == "" {
		return nil
	}
	one := sha256.Sum256([]byte(password))
	mask := sha256.Sum256(append(HashSHA2(password), clip(nonce, scrambleLen)...))
	return xor(one[:], mask[:])
}

// checkSHA2 verifies a caching_sha2 scramble against the stored hash.
func checkSHA2(scramble, nonce, hash []byte) bool {
	if len(scramble) != sha256.Size || len(hash) != sha256.Size {
		return false
	}
	mask := sha256.Sum256(append(clip(hash, sha256.Size), clip(nonce, scrambleLen)...))
	got := sha256.Sum256(xor(scramble, mask[:]))
	return subtle.ConstantTimeCompare(got[:], hash) == 1
}

// ed25519Key derives the secret scalar and the prefix of MariaDB's ed25519 plugin:
// they are the halves of SHA512(password), where RFC 8032 hashes a seed.
func ed25519Key(password string) (s *edwards25519.Scalar, prefix []byte) {
	h := sha512.Sum512([]byte(password))
	s, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
	if err != nil {
		panic(err) // only for a length other than 32
	}
	return s, h[32:]
}

// Ed25519PublicKey returns the public key of a password, as MariaDB stores it.
func Ed25519PublicKey(password string) []byte {
	s, _ := ed25519Key(password)
	return (&edwards25519.Point{}).ScalarBaseMult(s).Bytes()
}

// SignEd25519 is a client's answer to a nonce under MariaDB's ed25519 plugin: the
// signature of RFC 8032 with the key that comes from the password.
func SignEd25519(password string, nonce []byte) []byte {
	s, prefix := ed25519Key(password)
	pub := (&edwards25519.Point{}).ScalarBaseMult(s).Bytes()
	r := hashScalar(prefix, nonce)
	sig := (&edwards25519.Point{}).ScalarBaseMult(r).Bytes()
	k := hashScalar(sig, pub, nonce)
	return append(sig, edwards25519.NewScalar().MultiplyAdd(k, s, r).Bytes()...)
}

func hashScalar(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		panic(err) // only for a length other than 64
	}
	return s
}

func checkEd25519(sig, nonce, key []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, nonce, sig)
}

// EncryptPassword is a client's answer in the full caching_sha2 exchange without
// TLS: the password and a zero byte, XORed with the nonce, under the server's key.
func EncryptPassword(password string, nonce []byte, pub *rsa.PublicKey) ([]byte, error) {
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, pub, xorNonce([]byte(password+"\x00"), nonce), nil)
}

// decryptPassword is the server's side of EncryptPassword.
func decryptPassword(encrypted, nonce []byte, key *rsa.PrivateKey) ([]byte, error) {
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, key, encrypted, nil)
	if err != nil {
		return nil, err
	}
	return xorNonce(plain, nonce), nil
}

// ParsePublicKey reads the PEM text with which a server answers a request for its key.
func ParsePublicKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, malformed("public key of the server")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("public key of the server: %w", err)
	}
	pub, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("public key of the server is a %T, not RSA", key)
	}
	return pub, nil
}

func marshalPublicKey(key *rsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// newNonce returns n random bytes without zero and '$', which some clients take for
// the end of a string and of a salt.
func newNonce(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: it aborts the program instead
	for i := range b {
		b[i] &= 0x7f
		if b[i] == 0 || b[i] == '$' {
			b[i]++
		}
	}
	return b
}

// clip copies at most n bytes of b, so that appending never touches b.
func clip(b []byte, n int) []byte {
	return append(make([]byte, 0, n+sha256.Size), b[:min(n, len(b))]...)
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	subtle.XORBytes(out, a, b)
	return out
}

func xorNonce(b, nonce []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i]
		if len(nonce) > 0 {
			out[i] ^= nonce[i%len(nonce)]
		}
	}
	return out
}
