package e2e

import (
	"crypto/sha256"
	"fmt"
)

// keyIDHash is the label that the API server's metrics have for a key_id.
func keyIDHash(keyID string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(keyID))) }
