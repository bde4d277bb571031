# shellcheck shell=bash
#
# A cluster in Docker by kind: kind_up, kind_down. Needs everything in lib/.
kind_tool() { "$(binary kind)" "$@"; }
kind_is_up() { false; }
kind_up() { false; }
kind_down() { rm -rf -- "$STATE"; }
