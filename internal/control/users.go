package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/topo"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

const (
	// maxPassword is the longest password that MySQL's clients send whole.
	maxPassword = 256
	// maxUserKeyspaces bounds a user's list.
	maxUserKeyspaces = 1000
	// setAttempts bounds how often a user is read again because somebody else changed it.
	setAttempts = 5
)

// userService answers UserService.
type userService struct{ *Server }

// SetUser implements the API.
func (s userService) SetUser(ctx context.Context, req *connect.Request[controlv1.SetUserRequest]) (*connect.Response[controlv1.SetUserResponse], error) {
	m := req.Msg
	if err := topo.ValidateUserName(m.GetName()); err != nil {
		return nil, err
	}
	if len(m.GetPassword()) > maxPassword {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("the password has more than %d bytes", maxPassword))
	}
	if len(m.GetKeyspaces().GetNames()) > maxUserKeyspaces {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("more than %d keyspaces", maxUserKeyspaces))
	}
	for _, name := range m.GetKeyspaces().GetNames() {
		if err := topo.ValidateKeyspaceName(name); err != nil {
			return nil, err
		}
	}
	var err error
	for range setAttempts {
		var rec *topov1.User
		if rec, err = s.setUser(ctx, m); err == nil {
			return connect.NewResponse(&controlv1.SetUserResponse{User: userInfo(rec)}), nil
		}
		if !errors.Is(err, topo.ErrConflict) {
			break
		}
	}
	return nil, err
}

// setUser changes what the request names and keeps the rest.
func (s userService) setUser(ctx context.Context, m *controlv1.SetUserRequest) (*topov1.User, error) {
	rec, rev, err := s.Topo.User(ctx, m.GetName())
	if errors.Is(err, topo.ErrNotFound) {
		rec, rev, err = &topov1.User{Name: m.Name}, 0, nil
	}
	if err != nil {
		return nil, err
	}
	if m.Password != nil {
		rec.NativeHash, rec.Sha2Hash, rec.Ed25519Key = nil, nil, nil
		if m.GetPassword() != "" {
			rec.NativeHash, rec.Sha2Hash = wire.HashNative(m.GetPassword()), wire.HashSHA2(m.GetPassword())
			rec.Ed25519Key = wire.Ed25519PublicKey(m.GetPassword())
		}
	}
	if m.Keyspaces != nil {
		rec.Keyspaces = m.GetKeyspaces().GetNames()
	}
	if m.ReadOnly != nil {
		rec.ReadOnly = m.ReadOnly
	}
	_, err = s.Topo.PutUser(ctx, rec, rev)
	return rec, err
}

func userInfo(rec *topov1.User) *controlv1.UserInfo {
	return &controlv1.UserInfo{
		Name: rec.Name, HasPassword: proto.Bool(len(rec.GetNativeHash())+len(rec.GetSha2Hash())+len(rec.GetEd25519Key()) > 0),
		Keyspaces: rec.GetKeyspaces(), ReadOnly: proto.Bool(rec.GetReadOnly()),
	}
}

// ListUsers implements the API.
func (s userService) ListUsers(ctx context.Context, _ *connect.Request[controlv1.ListUsersRequest]) (*connect.Response[controlv1.ListUsersResponse], error) {
	users, err := s.Topo.Users(ctx)
	if err != nil {
		return nil, err
	}
	resp := &controlv1.ListUsersResponse{}
	for _, rec := range users {
		resp.Users = append(resp.Users, userInfo(rec))
	}
	return connect.NewResponse(resp), nil
}

// DeleteUser implements the API.
func (s userService) DeleteUser(ctx context.Context, req *connect.Request[controlv1.DeleteUserRequest]) (*connect.Response[controlv1.DeleteUserResponse], error) {
	_, rev, err := s.Topo.User(ctx, req.Msg.GetName())
	if errors.Is(err, topo.ErrNotFound) {
		return nil, errcode.Wrap(errcode.RecordMissing, err, "user", req.Msg.GetName())
	}
	if err != nil {
		return nil, err
	}
	if err := s.Topo.DeleteUser(ctx, req.Msg.GetName(), rev); err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.DeleteUserResponse{}), nil
}
