package proc

import (
	"fmt"
	"net"
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
		time.Sleep(100 * time.Millisecond)
	}
}

// FreePort is a port of the loopback that nobody uses now.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
