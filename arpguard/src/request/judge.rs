//! What the programs say of frames, for `arpguard explain`.

use super::Context;
use crate::{error::Result, explain::Question, render::json};

/// Prints a [`crate::explain::Judgement`], whatever the page is for: `explain` makes the output.
pub(super) async fn perform(question: &Question, context: &mut Context<'_>) -> Result<()> {
    let judgement = question.judge(context.store, context.netlink).await?;
    context.print(|out| json::document(out, &judgement))
}
