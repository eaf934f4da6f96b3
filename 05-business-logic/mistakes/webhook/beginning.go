//go:build ignore

// It looks whether the right signature begins with the one that was sent. An empty
// one is the beginning of every signature: whoever sends "v1=" has signed. All of it
// must be equal, and hmac.Equal says so in a time that tells nothing about where
// they differ.
//
//workshop:caught-by TestVerify/refuses_a_part_of_a_signature
//workshop:says need not know the secret
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func (v *Verifier) signed(payload []byte, header string) (at time.Time, err error) {
	var t string
	var signatures []string
	for field := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(field, "="); name {
		case "t":
			t = value
		case "v1":
			signatures = append(signatures, value)
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || len(signatures) == 0 {
		return time.Time{}, fmt.Errorf("%w: a t in seconds and a v1 are needed: %.80q", ErrHeader, header)
	}
	mac := hmac.New(sha256.New, v.secret)
	mac.Write([]byte(t + "."))
	mac.Write(payload)
	want := hex.EncodeToString(mac.Sum(nil))
	for _, signature := range signatures {
		if strings.HasPrefix(want, signature) {
			return time.Unix(seconds, 0), nil
		}
	}
	return time.Time{}, ErrSignature
}
