package proc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Until asks again and again, until there is no error or the time is up.
func Until(limit time.Duration, what string, check func() error) error {
	end := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %s: %w", what, limit, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// Below the ports that the kernel takes for outgoing connections, so that none of them gets the port of a server
// that is being restarted.
const (
	firstPort = 20000
	ports     = 12000
)

var given = struct {
	mutex sync.Mutex
	last  int
}{last: rand.IntN(ports)}

// FreePort is a port of the loopback that nobody uses now and that this run has given to nobody else.
func FreePort() (int, error) {
	given.mutex.Lock()
	defer given.mutex.Unlock()
	for range ports {
		given.last = (given.last + 1) % ports
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+given.last))
		if err == nil {
			return firstPort + given.last, listener.Close()
		}
	}
	return 0, errors.New("no free port")
}
