// Package plugin runs p11-kmsd, as built for release, on a SoftHSM token.
package plugin

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Token is a SoftHSM token in a folder of its own.
type Token struct {
	dir, module, uri, pinFile string
}

// NewToken makes the token with the script that demo and tests use.
func NewToken(source, dir string) (*Token, error) {
	t := &Token{dir: filepath.Join(dir, "token")}
	out, err := exec.Command(filepath.Join(source, "softhsm-config", "make-token"), t.dir).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("make-token: %w: %s", err, out)
	}
	for _, line := range strings.Split(string(out), "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "module":
			t.module = value
		case "uri":
			t.uri = value
		case "pin_file":
			t.pinFile = value
		}
	}
	return t, nil
}

func (t *Token) tokens() string { return filepath.Join(t.dir, "tokens") }

// TakeAway moves the token's files out of the module's sight.
func (t *Token) TakeAway() error { return os.Rename(t.tokens(), t.tokens()+".away") }

// BringBack undoes TakeAway.
func (t *Token) BringBack() error {
	// The module may have made the folder anew, empty.
	if err := os.Remove(t.tokens()); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("bring the token back: %w", err)
	}
	return os.Rename(t.tokens()+".away", t.tokens())
}

// Calls of the token process to its token.
type Calls struct {
	Wraps   int `json:"wraps"`
	Unwraps int `json:"unwraps"`
}

// Minus is the difference of two counts.
func (c Calls) Minus(before Calls) Calls {
	return Calls{c.Wraps - before.Wraps, c.Unwraps - before.Unwraps}
}

// Plus is the sum of two counts.
func (c Calls) Plus(other Calls) Calls {
	return Calls{c.Wraps + other.Wraps, c.Unwraps + other.Unwraps}
}

func (c Calls) String() string { return fmt.Sprintf("%d wraps, %d unwraps", c.Wraps, c.Unwraps) }

// spyModule is that of the package opensc-pkcs11.
func spyModule() (string, error) {
	for _, pattern := range []string{"/usr/lib/*/pkcs11-spy.so", "/usr/lib/*/pkcs11/pkcs11-spy.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", errors.New("pkcs11-spy.so not found: install opensc-pkcs11")
}

// countCalls reads the record that OpenSC's pkcs11-spy writes between the token process and the module.
func countCalls(record string) (Calls, error) {
	var calls Calls
	if info, err := os.Stat(record); err != nil || !info.Mode().IsRegular() {
		return calls, nil
	}
	file, err := os.Open(record)
	if err != nil {
		return calls, fmt.Errorf("record of token calls: %w", err)
	}
	defer file.Close()
	var last *int
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasSuffix(line, ": C_EncryptInit"):
			last = &calls.Wraps
		case strings.HasSuffix(line, ": C_DecryptInit"):
			last = &calls.Unwraps
		case last != nil && strings.Contains(line, "type = CKM_AES_GCM"):
			*last++
		}
	}
	return calls, lines.Err()
}
