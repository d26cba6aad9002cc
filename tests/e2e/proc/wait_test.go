package proc

import (
	"fmt"
	"net"
	"testing"
)

func TestFreePort_GivesEachPortOnceAndNoneInUse(t *testing.T) {
	first, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	next := firstPort + (first-firstPort+1)%ports
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", next))
	if err == nil {
		defer listener.Close()
	}
	seen := map[int]bool{first: true, next: true}
	for range 50 {
		port, err := FreePort()
		if err != nil || seen[port] || port < firstPort || port >= firstPort+ports {
			t.Fatalf("port %d after %v: %v", port, seen, err)
		}
		seen[port] = true
	}
}
