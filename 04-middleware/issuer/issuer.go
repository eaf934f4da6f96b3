// Package issuer makes tokens for trying things: it keeps the key that they are
// signed with in the folder for keys and state, and knows the authenticate.Config
// that accepts them.
//
// The algorithm is HS256: one secret signs and checks. That is the simple choice
// where one house does both, and the cheap one: to check an HMAC takes about a
// microsecond, to check a signature by EdDSA or ES256 many times that. Its price
// is that whoever can check a token can also make one. Where others check, too, or where the
// issuer is a service of its own, take EdDSA or ES256: those who check then hold
// a public key, and a thief who breaks in there cannot sign. authenticate takes
// either.
//
// Processes may open the folder side by side, also for the first time: they all
// end with the same key. A deployment would get it from a vault, and change it
// from time to time; here, delete the file, start anew, and no token from before
// is good any more.
package issuer

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/solution/authenticate"
)

const (
	// KeyFile is the file in the folder that holds the secret: one line of
	// base64url, for its owner alone.
	KeyFile = "token-key"
	// Name and Audience are "iss" and "aud" of every token made here.
	Name     = "https://shop.test"
	Audience = "https://shop.test/orders"
)

const (
	algorithm = "HS256"
	keyLength = 32 // octets, as many as a SHA-256 has: RFC 7518 §3.2
)

// Key signs tokens. It may be used by many goroutines at once.
type Key struct{ secret []byte }

// Open reads the key in the folder dir, which is there, or makes one. An empty
// dir is stage.Dir. The file system must know hard links. A file that is damaged,
// or that others can read, is an error, and says what to do.
func Open(dir string) (*Key, error) {
	if dir == "" {
		var err error
		if dir, err = stage.Dir(); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(dir, KeyFile)
	key, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(file); err == nil {
			key, err = read(file) // what is there now, whoever was first
		}
	}
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	return key, nil
}

func read(file string) (*Key, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %v), who could sign with it: delete it, and a new one is made", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secret, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != keyLength {
		return nil, fmt.Errorf("%s is damaged: delete it, and a new one is made", file)
	}
	return &Key{secret}, nil
}

// create makes a new key in file, unless there is one by now. The file appears
// under its name when all of it is there, and is never replaced: a process that
// has read it goes on with what others will read.
func create(file string) error {
	temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // for its owner alone
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	secret := make([]byte, keyLength)
	_, _ = rand.Read(secret) // never fails
	_, err = fmt.Fprintln(temp, base64.RawURLEncoding.EncodeToString(secret))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err = os.Link(temp.Name(), file); errors.Is(err, fs.ErrExist) { // a rename would replace
		return nil
	}
	return err
}

// Sign makes a token that says that its bearer is subject and may do what scopes
// name, from now on and for lifetime, in whole seconds. No scopes are fine;
// subject must not be empty, a scope has neither spaces nor is it empty, and
// lifetime is a second or more.
func (k *Key) Sign(subject string, scopes []string, lifetime time.Duration) (string, error) {
	var faults []error
	if subject == "" {
		faults = append(faults, errors.New("issuer: the subject is empty"))
	}
	for _, scope := range scopes {
		if len(strings.Fields(scope)) != 1 || strings.TrimSpace(scope) != scope {
			faults = append(faults, fmt.Errorf("issuer: %q is no scope", scope))
		}
	}
	if lifetime < time.Second {
		faults = append(faults, fmt.Errorf("issuer: a lifetime of %s is less than a second", lifetime))
	}
	if err := errors.Join(faults...); err != nil {
		return "", err
	}
	now := time.Now()
	signed, err := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), authenticate.Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    Name,
			Subject:   subject,
			Audience:  jwt.ClaimStrings{Audience},
			ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
			IssuedAt:  jwt.NewNumericDate(now),
			ID:        rand.Text(),
		},
		Scope: strings.Join(scopes, " "),
	}).SignedString(k.secret)
	if err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	return signed, nil
}

// Config accepts the tokens that k signs, and no others. Who signs and who
// checks have one clock here, so there is no leeway. The caller may change it,
// as in
//
//	c := key.Config()
//	c.Optional = true
func (k *Key) Config() authenticate.Config {
	return authenticate.Config{
		Algorithm: algorithm,
		Key:       k.secret,
		Issuer:    Name,
		Audience:  Audience,
	}
}
