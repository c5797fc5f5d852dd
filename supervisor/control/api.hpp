// orlop's objects on the bus of one connection: the tables of interface.hpp made vtables, each call weighed against its
// caller's role and turned into a call of Service, each answer turned back into a message.
#pragma once

#include <systemd/sd-bus.h>

#include <string>

namespace orlop::control {

class Connection;

/// Adds all objects to `bus`, served for `connection`, which must outlive it. Negative errno on failure.
int add_objects(sd_bus* bus, Connection& connection);

// Signals about the object at `path`. Negative errno on failure.
int emit_container_added(sd_bus* bus, const std::string& path);
int emit_container_removed(sd_bus* bus, const std::string& path);
int emit_container_changed(sd_bus* bus, const std::string& path);
int emit_supervisor_changed(sd_bus* bus);

}  // namespace orlop::control
