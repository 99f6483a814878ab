"""`llm-optimizer completion bash|zsh|fish`: what a shell needs to complete commands and options."""

import click

SHELLS = ("bash", "zsh", "fish")
PROGRAM, ALIAS = "llm-optimizer", "llmopt"
VARIABLE = "_LLM_OPTIMIZER_COMPLETE"
_ALSO = {
    "bash": f"complete -o nosort -F _llm_optimizer_completion {ALIAS}",
    "zsh": f"compdef _llm_optimizer_completion {ALIAS}",
    "fish": f"complete --no-files --command {ALIAS} --wraps {PROGRAM}",
}


@click.command
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    Put it where the shell reads it: `eval "$(llm-optimizer completion bash)"` in ~/.bashrc, the same with zsh in
    ~/.zshrc, or `llm-optimizer completion fish > ~/.config/fish/completions/llm-optimizer.fish`.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"this click knows no completion for {shell}: install click 8 with `make setup`")
    context = click.get_current_context().find_root()
    click.echo(f"{made(context.command, {}, PROGRAM, VARIABLE).source().rstrip()}\n{_ALSO[shell]}")
