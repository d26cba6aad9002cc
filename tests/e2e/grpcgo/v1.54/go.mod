module p11-kms/tests/e2e/grpcgo/v1.54

go 1.21

toolchain go1.26.8

require p11-kms/tests/e2e/grpcgo/client v0.0.0

require (
	github.com/golang/protobuf v1.5.2 // indirect
	golang.org/x/net v0.8.0 // indirect
	golang.org/x/sys v0.6.0 // indirect
	golang.org/x/text v0.8.0 // indirect
	google.golang.org/genproto v0.0.0-20230110181048-76db0878b65f // indirect
	google.golang.org/grpc v1.54.1 // indirect
	google.golang.org/protobuf v1.30.0 // indirect
)

replace p11-kms/tests/e2e/grpcgo/client => ../client
