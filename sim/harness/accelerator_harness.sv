// Streams stored images through the accelerator at simulator speed and records every output word.
//
// Reference    flow.ir.Graph.evaluate, compared afterwards in sim/accelerator.py
// Run          a change of `start` resets the accelerator, streams images first .. first+images-1
//              back to back and ends with a change of `done`; with keep = 1 it does not reset
// Strike       `struck` changes in the middle of cycle `strike` of a run, for the bench to upset
//              a register between two clock edges; -1 never
// Record       one line per output word in results.txt: cycle since the first offered beat, word,
//              whether a memory has given a damaged word until then; a run that times out writes
//              cycle ffffffff for each word it still owed
// Stalls       offer and accept are chances in 256 per cycle; 256 never stalls
// Not          synthesisable, and no judge: it compares no values
module accelerator_harness #(
  parameter int InBits         = 8,  // input word
  parameter int OutBits        = 8,  // output word, one per image
  parameter int CfgBits        = 8,  // configuration word
  parameter int CfgMemoryBits  = 8,
  parameter int CfgAddressBits = 16,
  parameter int Memories       = 1,
  parameter int Beats          = 1,  // input words per image
  parameter int Capacity       = 16  // input words held
);

  localparam int ResetCycles = 4;

  bit clk;
  always #5 clk = ~clk;

  logic [InBits-1:0] stimulus [Capacity];
  int words;
  initial begin
    if (!$value$plusargs("words=%d", words)) $fatal(1, "+words= is missing");
    if (words > Capacity) $fatal(1, "+words=%0d exceeds Capacity=%0d", words, Capacity);
    $readmemh("stimulus.hex", stimulus, 0, words - 1);
  end

  int results;
  initial results = $fopen("results.txt", "w");

  // written by the bench while the harness is idle
  bit start, keep;
  int first, images, watchdog, tail;
  int strike = -1;
  int offer = 256, accept = 256;
  logic                      cfg_valid, cfg_write;
  logic [CfgMemoryBits-1:0]  cfg_memory;
  logic [CfgAddressBits-1:0] cfg_address;
  logic [CfgBits-1:0]        cfg_data;
  initial {cfg_valid, cfg_write} = '0;

  // read by the bench
  bit done, struck;
  int extra_q;       // words after the last image, within tail cycles
  int protocol_q;    // words withdrawn or changed before they were taken
  int total_q;       // cycles of the run
  logic [CfgBits-1:0]  cfg_read;
  logic [Memories-1:0] detected;

  logic               valid_q, ready_q, in_ready, out_valid, rst_nq;
  logic [InBits-1:0]  data_q;
  logic [OutBits-1:0] out_data, held_q;
  logic               waiting_q;
  bit                 started_q, running_q, origin_q;
  int next_q, last_q, owed_q, silent_q, reset_q, cycle_q, tail_q;
  int unsigned noise_q;

  accelerator u_accelerator (
    .clk_i        (clk),
    .rst_ni       (rst_nq),
    .valid_i      (valid_q),
    .ready_o      (in_ready),
    .data_i       (data_q),
    .valid_o      (out_valid),
    .ready_i      (ready_q),
    .data_o       (out_data),
    .cfg_valid_i  (cfg_valid),
    .cfg_write_i  (cfg_write),
    .cfg_memory_i (cfg_memory),
    .cfg_address_i(cfg_address),
    .cfg_data_i   (cfg_data),
    .cfg_data_o   (cfg_read),
    .detected_o   (detected)
  );

  initial begin
    {valid_q, ready_q, rst_nq, waiting_q} = '0;
    noise_q = 32'h1;
  end

  wire sent  = valid_q && in_ready;
  wire taken = out_valid && ready_q;
  wire more  = next_q != last_q;
  // two bytes of a 32-bit linear feedback shift register decide the stalls
  wire may_offer  = offer  > {24'd0, noise_q[7:0]};
  wire may_accept = accept > {24'd0, noise_q[23:16]};

  always @(negedge clk) begin
    if (running_q && reset_q == 0 && cycle_q == strike) struck = !struck;
  end

  always @(posedge clk) begin
    noise_q <= {noise_q[30:0], noise_q[31] ^ noise_q[21] ^ noise_q[1] ^ noise_q[0]};
    if (!running_q) begin
      noise_q <= 32'h1;  // every run stalls alike
      rst_nq <= 1'b1;  // out of reset between runs: configuration needs it
      if (start != started_q) begin
        started_q    <= start;
        running_q    <= 1'b1;
        rst_nq       <= keep;
        valid_q      <= 1'b0;
        ready_q      <= 1'b0;
        waiting_q    <= 1'b0;
        reset_q      <= keep ? 1 : ResetCycles;
        next_q       <= first * Beats;
        last_q       <= (first + images) * Beats;
        owed_q       <= images;
        {extra_q, protocol_q, silent_q, cycle_q, tail_q} <= '0;
      end
    end else if (reset_q != 0) begin
      reset_q <= reset_q - 1;
      rst_nq  <= reset_q == 1;
      ready_q <= reset_q == 1 && accept == 256;
      valid_q <= reset_q == 1;
      data_q  <= stimulus[next_q];
      if (reset_q == 1) next_q <= next_q + 1;
    end else begin
      cycle_q <= cycle_q + 1;
      // input: an offered word stays until it is taken
      if (sent || !valid_q) begin
        valid_q <= more && may_offer;
        if (more && may_offer) begin
          data_q <= stimulus[next_q];
          next_q <= next_q + 1;
        end
      end
      // output
      ready_q   <= may_accept;
      waiting_q <= out_valid && !ready_q;
      held_q    <= out_data;
      if (waiting_q && (!out_valid || out_data != held_q)) protocol_q <= protocol_q + 1;
      silent_q  <= taken ? 0 : silent_q + 1;
      if (taken && owed_q != 0) begin
        $fwrite(results, "%h %h %h\n", cycle_q, out_data, |detected);
        owed_q <= owed_q - 1;
      end else if (owed_q != 0 && silent_q > watchdog) begin
        for (int i = 0; i < owed_q; i++) begin
          $fwrite(results, "%h %h %h\n", 32'hffffffff, {OutBits{1'b0}}, |detected);
        end
        owed_q <= 0;
        tail_q <= tail;
      end
      if (owed_q == 0) begin
        if (taken) extra_q <= extra_q + 1;
        tail_q  <= tail_q + 1;
        if (tail_q >= tail) begin
          total_q      <= cycle_q;
          running_q    <= 1'b0;
          valid_q      <= 1'b0;
          done         <= !done;
          $fflush(results);
        end
      end
    end
  end

endmodule
